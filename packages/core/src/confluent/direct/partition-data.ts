import { type BatchCodecs, GZIP, LZ4, SNAPPY, ZSTD } from './batch-codecs.ts';
import { type BatchHeader, CHECKED_FROM, HEADER_BYTES, readBatchHeader } from './batch-header.ts';
import type { AbortedTransaction } from './fetch-response.ts';
import { MalformedBytes } from './malformed-bytes.ts';
import { sharedMemory } from './own-bytes.ts';
import { RecordBatch } from './record-batch.ts';
import { UnsupportedBytes } from './unsupported-bytes.ts';
import { readVarint, readVarlong } from './varint.ts';

/** What a response holds of one partition, and how to read it. */
export interface PartitionBytes {
  readonly topic: string;
  readonly partition: number;
  /** Record batches, the last one possibly cut off. */
  readonly bytes: Buffer;
  /** The offset that was asked for: a batch may begin before it. */
  readonly from: number;
  /** Those whose records are left out; undefined where they are not. */
  readonly abortedTransactions: readonly AbortedTransaction[] | undefined;
}

/** Bytes that cannot be read, between these offsets as far as they tell. */
export interface CorruptBatch {
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly reason: string;
  /** They are right, and librdkafka reads them. */
  readonly isForLibrdkafka: boolean;
}

/** The batches that have records for us, in order. */
export interface PartitionData {
  readonly batches: readonly RecordBatch[];
  /** The offset behind all that was read, also behind batches that have nothing for us. */
  readonly next: number;
  /** The leader's epoch of the last batch; undefined where there is no whole one. */
  readonly leaderEpoch: number | undefined;
  /** What follows them, if it is no batch. */
  readonly corrupt: CorruptBatch | undefined;
}

/**
 * How reading stood in front of the first offset that is missing. Compaction leaves gaps, and so does a batch that stands in a wrong place, which no
 * checksum tells: when one behind it goes backwards, only what is before the gap is sure.
 */
interface Gap {
  readonly batches: number;
  readonly next: number;
  readonly leaderEpoch: number | undefined;
}

/**
 * Splits what came of a partition into batches: checks the checksum of each, leaves out control batches and what aborted transactions wrote,
 * and stops in front of one that is cut off or corrupt. Nothing is decompressed. One that stands behind the high watermark which came with it is
 * right: a broker notes that before it reads its log.
 */
export function readPartitionData(data: PartitionBytes, codecs: BatchCodecs): PartitionData {
  const { bytes, from } = data;
  const aborted = data.abortedTransactions && new Aborted(data.abortedTransactions);
  const batches: RecordBatch[] = [];
  const memory = sharedMemory(bytes);
  let next = from;
  let leaderEpoch: number | undefined;
  let at = 0;
  let corrupt: CorruptBatch | undefined;
  let gap: Gap | undefined;
  while (at < bytes.length) {
    let header: BatchHeader | undefined;
    try {
      header = readBatchHeader(bytes, at);
      if (header === undefined) break;
      const batch = bytes.subarray(at, at + header.bytes);
      // The first one may begin before the offset that was asked for.
      if (at > 0 && header.baseOffset < next) {
        const reason = `a batch from ${header.baseOffset} to ${header.lastOffset} stands behind one that ends at ${next - 1}`;
        if (gap !== undefined) {
          ({ next, leaderEpoch } = gap);
          batches.length = gap.batches;
        }
        const lastOffset = Math.max(next, header.lastOffset);
        corrupt = { firstOffset: next, lastOffset, reason, isForLibrdkafka: false };
        break;
      }
      checkBatch(header, batch, next, codecs);
      if (header.baseOffset > next) gap ??= { batches: batches.length, next, leaderEpoch };
      const isAborted = aborted?.passes(header, batch) === true;
      if (!header.isControl && !isAborted && header.recordCount > 0) {
        checkCodec(header, codecs);
        batches.push(new RecordBatch(data, header, batch, from, codecs, memory));
      }
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error;
      corrupt = {
        firstOffset: Math.max(next, header?.baseOffset ?? next),
        lastOffset: Math.max(next, header?.lastOffset ?? next),
        reason: error.message,
        isForLibrdkafka: error instanceof UnsupportedBytes,
      };
      break;
    }
    at += header.bytes;
    next = header.lastOffset + 1;
    leaderEpoch = header.leaderEpoch;
  }
  return { batches, next, leaderEpoch, corrupt };
}

function checkBatch(header: BatchHeader, batch: Buffer, next: number, codecs: BatchCodecs): void {
  const crc = codecs.crc32c(batch.subarray(CHECKED_FROM));
  if (crc !== header.crc) throw new MalformedBytes(`its checksum is ${crc}, and should be ${header.crc}`);
  if (header.lastOffset < header.baseOffset || header.recordCount < 0)
    throw new MalformedBytes(
      `a batch of ${header.recordCount} records from ${header.baseOffset} to ${header.lastOffset}`,
    );
  if (header.lastOffset < next) throw new MalformedBytes(`a batch that ends at ${header.lastOffset}, before ${next}`);
}

/** Those that librdkafka reads; of another one it would pass over the records. */
const codecsOfLibrdkafka = [GZIP, SNAPPY, LZ4, ZSTD];

function checkCodec({ compression }: BatchHeader, { decompress }: BatchCodecs): void {
  if (decompress[compression] === undefined && codecsOfLibrdkafka.includes(compression))
    throw new UnsupportedBytes(`compression ${compression}, for which there is no codec here`);
}

const ABORT_MARKER = 0;

/** Which producers' transactions are aborted, as the log goes on. */
class Aborted {
  readonly #coming: AbortedTransaction[];
  readonly #open = new Set<number>();

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#coming = [...transactions].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  /** Whether a batch was written by one of them. */
  passes(header: BatchHeader, batch: Buffer): boolean {
    let first = this.#coming.at(-1);
    while (first !== undefined && first.firstOffset <= header.lastOffset) {
      this.#open.add(first.producerId);
      this.#coming.pop();
      first = this.#coming.at(-1);
    }
    if (!header.isTransactional) return false;
    if (!header.isControl) return this.#open.has(header.producerId);
    if (controlType(batch) === ABORT_MARKER) this.#open.delete(header.producerId);
    return true;
  }
}

/** The key of its one record says what a control batch does: a version, and a type. Undefined where compaction has left none. */
function controlType(batch: Buffer): number | undefined {
  const cursor = { bytes: batch, at: HEADER_BYTES };
  if (batch.length === HEADER_BYTES) return undefined;
  readVarint(cursor);
  cursor.at++;
  readVarlong(cursor);
  readVarint(cursor);
  const keyLength = readVarint(cursor);
  if (keyLength < 4 || cursor.at + keyLength > batch.length) throw new MalformedBytes('a control batch without a type');
  return batch.readInt16BE(cursor.at + 2);
}
