import type { SharedMemory } from '../../record.ts';
import type { BatchCodecs } from './batch-codecs.ts';
import { type BatchHeader, HEADER_BYTES } from './batch-header.ts';
import { DirectRecord } from './direct-record.ts';
import { MalformedBytes } from './malformed-bytes.ts';
import { compactBytes, sharedMemory } from './own-bytes.ts';
import { type Cursor, readVarint, readVarlong } from './varint.ts';

const emptyBatch: Buffer = Buffer.alloc(0);

/**
 * The records of one batch, made one after the other. It is decompressed when the first is asked for. What a record consists of is looked
 * through before it is handed out, so that nothing of it can fail later.
 */
export class RecordBatch {
  readonly header: BatchHeader;
  /** Bytes that it keeps in memory, as far as that is known before it is read. */
  readonly bytes: number;
  readonly #topic: string;
  readonly #partition: number;
  readonly #codecs: BatchCodecs;
  #packed: Buffer;
  /** What its records keep alive: what the batch came in, until it is unpacked into memory of its own. */
  #memory: SharedMemory;
  #cursor: Cursor | undefined;
  #read = 0;
  #unpackedBytes = 0;
  /** The offset of the last record that was looked at. */
  #previous = -1;
  #lastOffset: number;

  /** `batch` is its bytes, header included, in `memory`. Records before `from` are passed over. */
  constructor(
    place: { readonly topic: string; readonly partition: number },
    header: BatchHeader,
    batch: Buffer,
    from: number,
    codecs: BatchCodecs,
    memory: SharedMemory,
  ) {
    this.header = header;
    this.bytes = batch.length;
    this.#topic = place.topic;
    this.#partition = place.partition;
    this.#codecs = codecs;
    this.#memory = memory;
    this.#packed = batch.subarray(HEADER_BYTES);
    this.#lastOffset = from - 1;
  }

  /** Records that were not handed out yet. */
  get left(): number {
    return this.header.recordCount - this.#read;
  }

  /** Whether every record was handed out. */
  get isRead(): boolean {
    return this.left <= 0;
  }

  /** Whether its first record has yet to be unpacked with all the others. */
  get isPacked(): boolean {
    return this.header.compression !== 0 && this.#cursor === undefined;
  }

  /** What it was unpacked to; 0 for one that is still packed, or never was. */
  get unpackedBytes(): number {
    return this.#unpackedBytes;
  }

  /** The offset behind the last record that was handed out, or passed over. */
  get nextOffset(): number {
    return Math.max(this.#lastOffset + 1, this.header.baseOffset);
  }

  /** Adds up to `max` records to `into`. @throws MalformedBytes; what was added before holds */
  read(max: number, into: DirectRecord[]): void {
    const { header } = this;
    const cursor = this.#open();
    const limit = into.length + max;
    const { baseOffset, baseTimestamp, appendTime } = header;
    // -1 where whoever wrote it does not say.
    const leaderEpoch = header.leaderEpoch < 0 ? undefined : header.leaderEpoch;
    const { bytes } = cursor;
    const memory = this.#memory;
    while (this.#read < header.recordCount && into.length < limit) {
      const length = readVarint(cursor);
      const end = cursor.at + length;
      if (length < 0 || end > bytes.length) throw new MalformedBytes(`a record of ${length} bytes`);
      cursor.at++; // Attributes: none is in use.
      const timestamp = baseTimestamp + readVarlong(cursor);
      const offset = baseOffset + readVarint(cursor);
      const keyLength = readVarint(cursor);
      const keyAt = cursor.at;
      if (keyLength > 0) cursor.at += keyLength;
      const valueLength = readVarint(cursor);
      const valueAt = cursor.at;
      if (valueLength > 0) cursor.at += valueLength;
      const headerCount = readVarint(cursor);
      const headersAt = cursor.at;
      if (headerCount !== 0) passHeaders(cursor, headerCount, end);
      if (cursor.at !== end || keyLength < -1 || valueLength < -1) {
        throw new MalformedBytes(`a record of ${length} bytes whose parts are ${cursor.at - end + length}`);
      }
      if (offset <= this.#previous || offset > header.lastOffset)
        throw new MalformedBytes(`offset ${offset} out of its order`);
      this.#previous = offset;
      this.#read++;
      if (offset <= this.#lastOffset) continue;
      this.#lastOffset = offset;
      const time = appendTime ?? timestamp;
      const places = { keyAt, keyLength, valueAt, valueLength, headersAt, headerCount, end };
      into.push(new DirectRecord(this.#topic, this.#partition, offset, time, leaderEpoch, bytes, places, memory));
    }
    if (this.isRead && cursor.at !== bytes.length) {
      throw new MalformedBytes(`${bytes.length - cursor.at} bytes behind the last record`);
    }
  }

  #open(): Cursor {
    if (this.#cursor !== undefined) return this.#cursor;
    const { compression, recordCount } = this.header;
    this.#cursor = { bytes: recordCount > 0 ? this.#unpack(compression) : emptyBatch, at: 0 };
    this.#packed = emptyBatch;
    return this.#cursor;
  }

  #unpack(compression: number): Buffer {
    if (compression === 0) return this.#packed;
    let unpacked: Buffer;
    const decompress = this.#codecs.decompress[compression];
    if (decompress === undefined) throw new MalformedBytes(`compression ${compression}, which is not known`);
    try {
      unpacked = compactBytes(decompress(this.#packed));
    } catch (error) {
      throw new MalformedBytes(`it cannot be decompressed (${compression}): ${(error as Error).message}`);
    }
    this.#memory = sharedMemory(unpacked);
    this.#unpackedBytes = unpacked.length;
    return unpacked;
  }
}

function passHeaders(cursor: Cursor, count: number, end: number): void {
  if (count < 0) throw new MalformedBytes(`${count} headers`);
  for (let i = 0; i < count; i++) {
    const nameLength = readVarint(cursor);
    if (nameLength < 0) throw new MalformedBytes('a header without a name');
    cursor.at += nameLength;
    const length = readVarint(cursor);
    if (length < -1) throw new MalformedBytes(`a header of ${length} bytes`);
    if (length > 0) cursor.at += length;
    if (cursor.at > end) throw new MalformedBytes('headers that are longer than their record');
  }
}
