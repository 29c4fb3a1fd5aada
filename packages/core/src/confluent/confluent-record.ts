import {
  copyRecord,
  HeaderList,
  type Headers,
  noHeaders,
  type OwnedRecord,
  type ReceivedRecord,
  recordToJSON,
} from '../record.ts';

/** A message as the native client makes it. Its buffers are copies of their own. */
export interface RawMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Bytes of the value. */
  readonly size: number;
  readonly leaderEpoch?: number;
  /** A list of objects of one name each. A null value cannot be told from an empty one here. */
  readonly headers?: readonly Readonly<Record<string, Buffer>>[];
}

/** What an object costs beside its bytes. */
const RECORD_OVERHEAD_BYTES = 100;

/** A record over the client's message: nothing is copied but references, and headers become a list only when somebody looks. */
export class ConfluentRecord implements ReceivedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly sizeBytes: number;
  readonly leaderEpoch: number | undefined;
  #headers: RawMessage['headers'] | Headers;

  constructor(message: RawMessage) {
    this.topic = message.topic;
    this.partition = message.partition;
    this.offset = message.offset;
    this.timestamp = message.timestamp;
    this.key = message.key;
    this.value = message.value;
    this.leaderEpoch = message.leaderEpoch;
    this.#headers = message.headers;
    const keyBytes = this.key === null ? 0 : this.key.length;
    this.sizeBytes = message.size + keyBytes + RECORD_OVERHEAD_BYTES + headerBytes(message.headers);
  }

  get headers(): Headers {
    const headers = this.#headers;
    if (headers === undefined) return noHeaders;
    if (!Array.isArray(headers)) return headers as Headers;
    const list = new HeaderList((headers as NonNullable<RawMessage['headers']>).map(headerEntry));
    this.#headers = list;
    return list;
  }

  toJSON(): object {
    return recordToJSON(this);
  }

  copy(): OwnedRecord {
    return copyRecord(this);
  }
}

function headerBytes(headers: RawMessage['headers']): number {
  if (headers === undefined) return 0;
  let bytes = 0;
  for (const header of headers) {
    const [name, value] = headerEntry(header);
    bytes += name.length + (value === null ? 0 : value.length);
  }
  return bytes;
}

function headerEntry(header: Readonly<Record<string, Buffer>>): readonly [string, Buffer | null] {
  const [name] = Object.keys(header);
  if (name !== undefined) return [name, header[name] ?? null];
  // The binding assigns names blindly, so a header called __proto__ has become the object's prototype.
  const prototype: unknown = Object.getPrototypeOf(header);
  return ['__proto__', Buffer.isBuffer(prototype) ? prototype : null];
}
