/** A topic's partition. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Where a group goes on in a partition: the offset of the next record to handle, which is what gets committed. */
export interface NextOffset extends TopicPartition {
  readonly offset: number;
  /** Text stored with the offset. A commit without it clears what was there. */
  readonly metadata?: string;
  /** The leader's epoch in which what lies below was written: with it a log that has lost that is noticed (KIP-320). */
  readonly leaderEpoch?: number;
}

/** A record's headers: an ordered list in which a name may repeat and a value may be null or empty. */
export interface Headers extends Iterable<readonly [name: string, value: Buffer | null]> {
  /** The last value of that name, as Kafka's own clients have it; undefined when there is none. */
  get(name: string): Buffer | null | undefined;
  /** Every value of that name, in order. */
  getAll(name: string): readonly (Buffer | null)[];
}

/**
 * A record as the handler gets it. `key`, `value` and `headers` may be getters that decode on first use:
 * keep a {@link KafkaRecord.copy} when a record must outlive its handler call.
 */
export interface KafkaRecord<Value = Buffer | null, Key = Buffer | null> extends TopicPartition {
  readonly offset: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly key: Key;
  readonly value: Value;
  readonly headers: Headers;
  /** A plain object for logs and traces; bytes as UTF-8 text. */
  toJSON(): object;
  /** A plain record that owns all it holds. */
  copy(): KafkaRecord<Value, Key>;
}

/**
 * Memory that several records keep, each of them all of it: what came of a partition in one response, or an unpacked batch. All are of one partition, in
 * one assignment.
 */
export interface SharedMemory {
  readonly bytes: number;
  /** How many of them are in flight. 0 at first, and then the engine's to count. */
  inFlight: number;
}

/** A record as a reader hands it to the engine: its bytes, and how much memory it pins. */
export interface ReceivedRecord extends KafkaRecord {
  /** The leader's epoch in which it was written, where its reader knows. */
  readonly leaderEpoch?: number | undefined;
  /**
   * Key, value and headers, and what the object costs, in bytes. That is what it counts against the limit of bytes in flight, unless it shares its memory.
   */
  readonly sizeBytes: number;
  /**
   * Memory that it keeps together with other records: all of it counts against the limit of bytes in flight while one of them is, and each only with what its
   * object costs beside that. Undefined for a record whose bytes are its own.
   */
  readonly shared?: SharedMemory | undefined;
  /** For a record that is kept for long: copies its bytes, and lets go of what it shares. `shared` is undefined from then on, and `sizeBytes` the same. */
  detach?(): void;
  /** Its key as Latin-1, for a record that comes to it without a buffer of the key: lanes go by that, and most handlers never look at the key. */
  keyAsLatin1?(): string | null;
}

/** A message to be produced. */
export interface OutgoingRecord {
  readonly topic: string;
  readonly key?: Buffer | string | null;
  /** Null is a tombstone; an empty value stays empty. */
  readonly value: Buffer | string | null;
  readonly headers?:
    | Iterable<readonly [string, Buffer | string | null]>
    | Readonly<Record<string, Buffer | string | null>>;
  /** Chosen by the partitioner from the key when left out. */
  readonly partition?: number;
}

/** An ordered list of headers in memory. */
export class HeaderList implements Headers {
  readonly #entries: readonly (readonly [string, Buffer | null])[];

  constructor(entries: readonly (readonly [string, Buffer | null])[]) {
    this.#entries = entries;
  }

  get(name: string): Buffer | null | undefined {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry?.[0] === name) return entry[1];
    }
    return undefined;
  }

  getAll(name: string): readonly (Buffer | null)[] {
    return this.#entries.filter((entry) => entry[0] === name).map((entry) => entry[1]);
  }

  [Symbol.iterator](): Iterator<readonly [string, Buffer | null]> {
    return this.#entries[Symbol.iterator]();
  }
}

/** The headers of a record that has none. */
export const noHeaders: Headers = new HeaderList([]);

/** A plain, owned record: what readers that do not decode lazily, fakes and copies use. */
export class OwnedRecord implements ReceivedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;

  constructor(
    topic: string,
    partition: number,
    offset: number,
    timestamp: number,
    key: Buffer | null,
    value: Buffer | null,
    headers: Headers,
  ) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.timestamp = timestamp;
    this.key = key;
    this.value = value;
    this.headers = headers;
  }

  get sizeBytes(): number {
    let bytes = (this.key?.length ?? 0) + (this.value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
    if (this.headers !== noHeaders) {
      for (const [name, value] of this.headers) bytes += name.length + (value?.length ?? 0);
    }
    return bytes;
  }

  toJSON(): object {
    return recordToJSON(this);
  }

  copy(): OwnedRecord {
    return copyRecord(this);
  }
}

/** What an object costs beside its bytes, so that a flood of empty records is bounded too. */
export const RECORD_OVERHEAD_BYTES = 100;

/** The shape that `toJSON` of every record gives. */
export function recordToJSON(record: KafkaRecord<unknown, unknown>): object {
  const text = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString() : value);
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: text(record.key),
    value: text(record.value),
    headers: Array.from(record.headers, ([name, value]) => [name, text(value)]),
  };
}

/** An owned copy of any record of bytes. */
export function copyRecord(record: KafkaRecord): OwnedRecord {
  const own = (bytes: Buffer | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes));
  const entries = Array.from(record.headers, ([name, value]) => [name, own(value)] as const);
  const headers = entries.length === 0 ? noHeaders : new HeaderList(entries);
  const { topic, partition, offset, timestamp } = record;
  return new OwnedRecord(topic, partition, offset, timestamp, own(record.key), own(record.value), headers);
}
