import {
  copyRecord,
  HeaderList,
  type Headers,
  noHeaders,
  type OwnedRecord,
  RECORD_OVERHEAD_BYTES,
  type ReceivedRecord,
  recordToJSON,
  type SharedMemory,
} from '../../record.ts';
import { ownBytes } from './own-bytes.ts';
import { readVarint } from './varint.ts';

/** Where the parts of a record lie in its batch. Lengths of -1 are null. */
export interface RecordPlaces {
  readonly keyAt: number;
  readonly keyLength: number;
  readonly valueAt: number;
  readonly valueLength: number;
  /** Behind their number. */
  readonly headersAt: number;
  readonly headerCount: number;
  readonly end: number;
}

/** A record over the bytes of its batch, which it keeps alive with all that they lie in: key, value and headers are made on first use. */
export class DirectRecord implements ReceivedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number | undefined;
  shared: SharedMemory | undefined;
  #batch: Buffer;
  #places: RecordPlaces;
  #key: Buffer | null | undefined;
  #value: Buffer | null | undefined;
  #headers: Headers | undefined;

  constructor(
    topic: string,
    partition: number,
    offset: number,
    timestamp: number,
    leaderEpoch: number | undefined,
    batch: Buffer,
    places: RecordPlaces,
    shared: SharedMemory,
  ) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.timestamp = timestamp;
    this.leaderEpoch = leaderEpoch;
    this.shared = shared;
    this.#batch = batch;
    this.#places = places;
  }

  get key(): Buffer | null {
    if (this.#key === undefined) {
      const { keyAt, keyLength } = this.#places;
      this.#key = keyLength < 0 ? null : this.#batch.subarray(keyAt, keyAt + keyLength);
    }
    return this.#key;
  }

  keyAsLatin1(): string | null {
    const { keyAt, keyLength } = this.#places;
    return keyLength < 0 ? null : this.#batch.toString('latin1', keyAt, keyAt + keyLength);
  }

  get value(): Buffer | null {
    if (this.#value === undefined) {
      const { valueAt, valueLength } = this.#places;
      this.#value = valueLength < 0 ? null : this.#batch.subarray(valueAt, valueAt + valueLength);
    }
    return this.#value;
  }

  get headers(): Headers {
    this.#headers ??= readHeaders(this.#batch, this.#places);
    return this.#headers;
  }

  get sizeBytes(): number {
    const { keyAt, end } = this.#places;
    return end - keyAt + RECORD_OVERHEAD_BYTES;
  }

  detach(): void {
    const { keyAt, keyLength, valueAt, valueLength, headersAt, headerCount, end } = this.#places;
    this.#batch = ownBytes(this.#batch.subarray(keyAt, end));
    this.#places = {
      keyAt: 0,
      keyLength,
      valueAt: valueAt - keyAt,
      valueLength,
      headersAt: headersAt - keyAt,
      headerCount,
      end: end - keyAt,
    };
    this.#key = undefined;
    this.#value = undefined;
    this.#headers = undefined;
    this.shared = undefined;
  }

  toJSON(): object {
    return recordToJSON(this);
  }

  copy(): OwnedRecord {
    return copyRecord(this);
  }
}

/** The batch was looked through when the record was made: nothing here runs over. */
function readHeaders(bytes: Buffer, { headersAt, headerCount }: RecordPlaces): Headers {
  if (headerCount === 0) return noHeaders;
  const entries: (readonly [string, Buffer | null])[] = [];
  const cursor = { bytes, at: headersAt };
  for (let i = 0; i < headerCount; i++) {
    const name = take(cursor, readVarint(cursor));
    const length = readVarint(cursor);
    entries.push([name.toString('utf8'), length < 0 ? null : take(cursor, length)]);
  }
  return new HeaderList(entries);
}

function take(cursor: { readonly bytes: Buffer; at: number }, length: number): Buffer {
  const start = cursor.at;
  cursor.at += length;
  return cursor.bytes.subarray(start, cursor.at);
}
