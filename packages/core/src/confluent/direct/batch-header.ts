import { looseInt64, safeInt64 } from './byte-reader.ts';
import { MalformedBytes } from './malformed-bytes.ts';
import { UnsupportedBytes } from './unsupported-bytes.ts';

/** Bytes before the length that a batch tells of itself, that length included. */
const BEFORE_LENGTH = 12;
/** All of the header. */
export const HEADER_BYTES = 61;
/** The checksum holds for all behind itself. */
export const CHECKED_FROM = 21;

const MAGIC_AT = 16;
const CURRENT_MAGIC = 2;

const COMPRESSION = 0b111;
const LOG_APPEND_TIME = 1 << 3;
const TRANSACTIONAL = 1 << 4;
const CONTROL = 1 << 5;

/** What stands before the records of a batch. @see https://kafka.apache.org/documentation/#recordbatch */
export interface BatchHeader {
  readonly baseOffset: number;
  /** Of the batch, header included. */
  readonly bytes: number;
  readonly leaderEpoch: number;
  readonly crc: number;
  /** 0 for none. */
  readonly compression: number;
  /** The broker's time, for all records alike; undefined where each has its producer's. */
  readonly appendTime: number | undefined;
  readonly isTransactional: boolean;
  /** It ends a transaction, and no record is in it. */
  readonly isControl: boolean;
  readonly lastOffset: number;
  readonly baseTimestamp: number;
  readonly producerId: number;
  /** May be 0: compaction leaves batches empty. */
  readonly recordCount: number;
}

/**
 * Reads the header at a place. Undefined where the batch is cut off, which the last one of a response may be.
 * @throws MalformedBytes, UnsupportedBytes for a message of a format before Kafka 0.11
 */
export function readBatchHeader(bytes: Buffer, at: number): BatchHeader | undefined {
  const available = bytes.length - at;
  if (available <= MAGIC_AT) return undefined;
  const length = bytes.readInt32BE(at + 8);
  const magic = bytes.readInt8(at + MAGIC_AT);
  if (magic === 0 || magic === 1) throw new UnsupportedBytes(`message format ${magic}, of before Kafka 0.11`);
  if (magic !== CURRENT_MAGIC) throw new MalformedBytes(`message format ${magic}`);
  if (length < HEADER_BYTES - BEFORE_LENGTH) throw new MalformedBytes(`a batch of ${length} bytes`);
  if (available < BEFORE_LENGTH + length) return undefined;
  const baseOffset = safeInt64(bytes, at);
  const attributes = bytes.readInt16BE(at + 21);
  const lastOffsetDelta = bytes.readInt32BE(at + 23);
  const recordCount = bytes.readInt32BE(at + 57);
  if (baseOffset < 0) throw new MalformedBytes(`offset ${baseOffset}`);
  return {
    baseOffset,
    bytes: BEFORE_LENGTH + length,
    leaderEpoch: bytes.readInt32BE(at + 12),
    crc: bytes.readUInt32BE(at + 17),
    compression: attributes & COMPRESSION,
    appendTime: (attributes & LOG_APPEND_TIME) === 0 ? undefined : looseInt64(bytes, at + 35),
    isTransactional: (attributes & TRANSACTIONAL) !== 0,
    isControl: (attributes & CONTROL) !== 0,
    lastOffset: baseOffset + lastOffsetDelta,
    baseTimestamp: looseInt64(bytes, at + 27),
    producerId: safeInt64(bytes, at + 43),
    recordCount,
  };
}
