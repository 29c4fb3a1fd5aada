import { compressionsAlgorithms, crc32c, Writer } from '@platformatic/kafka';

/** A record of a batch that a test writes. */
export interface WrittenRecord {
  readonly offsetDelta: number;
  readonly timestampDelta: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[];
}

/** A batch that a test writes; what is left out is as an ordinary producer has it. */
export interface WrittenBatch {
  readonly baseOffset?: number;
  readonly records: readonly WrittenRecord[];
  readonly compression?: 'gzip' | 'snappy' | 'lz4';
  /** Attributes beside the compression. */
  readonly attributes?: number;
  readonly lastOffsetDelta?: number;
  readonly producerId?: number;
  readonly leaderEpoch?: number;
  readonly baseTimestamp?: number;
  readonly maxTimestamp?: number;
}

export const TRANSACTIONAL: number = 1 << 4;
const CONTROL: number = 1 << 5;

/** A record with a value and nothing else. */
export function plainRecord(offsetDelta: number, value: string): WrittenRecord {
  return { offsetDelta, timestampDelta: 0, key: null, value: Buffer.from(value), headers: [] };
}

/** What ends a transaction in the log. */
export function writeMarker(type: 'commit' | 'abort', baseOffset: number, producerId: number): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'commit' ? 1 : 0]);
  const record = { ...plainRecord(0, ''), key };
  return writeBatch({ baseOffset, producerId, attributes: TRANSACTIONAL | CONTROL, records: [record] });
}

/** Writes a record batch by @platformatic/kafka's writer, so that what reads it has nothing in common with what wrote it. */
export function writeBatch(batch: WrittenBatch): Buffer {
  const { records, compression, baseOffset = 0, baseTimestamp = 0, attributes = 0 } = batch;
  const body = Writer.create();
  for (const record of records) body.appendFrom(writeRecord(record));
  const packed =
    compression === undefined ? body.buffer : compressionsAlgorithms[compression].compressSync(body.buffer);
  const codec = compression === undefined ? 0 : compressionsAlgorithms[compression].bitmask;
  const checked = Writer.create()
    .appendInt16(attributes | codec)
    .appendInt32(batch.lastOffsetDelta ?? records.at(-1)?.offsetDelta ?? 0)
    .appendInt64(BigInt(baseTimestamp))
    .appendInt64(BigInt(batch.maxTimestamp ?? baseTimestamp))
    .appendInt64(BigInt(batch.producerId ?? -1))
    .appendInt16(-1)
    .appendInt32(-1)
    .appendInt32(records.length)
    .append(packed).buffer;
  return Writer.create()
    .appendInt64(BigInt(baseOffset))
    .appendInt32(checked.length + 9)
    .appendInt32(batch.leaderEpoch ?? 0)
    .appendInt8(2)
    .appendUnsignedInt32(crc32c(checked))
    .append(checked).buffer;
}

function writeRecord({ offsetDelta, timestampDelta, key, value, headers }: WrittenRecord): Writer {
  return Writer.create()
    .appendInt8(0)
    .append(varlong(BigInt(timestampDelta)))
    .appendVarInt(offsetDelta)
    .appendVarIntBytes(key)
    .appendVarIntBytes(value)
    .appendVarIntArray([...headers], (writer, [name, own]) => {
      writer.appendVarIntBytes(Buffer.from(name)).appendVarIntBytes(own);
    })
    .prependVarIntLength();
}

/** The library's own is wrong from 2^31 on. */
function varlong(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}
