import type { Clock } from '../clock.ts';
import { ClientError, UnknownTopicError } from '../errors.ts';
import type { Headers, OutgoingRecord, OwnedRecord, TopicPartition } from '../record.ts';
import { HeaderList, noHeaders } from '../record.ts';
import { FakeLog } from './fake-kafka-log.ts';

/** Every topic of the fake cluster, and who wants to know when one changes. */
export class FakeTopics {
  readonly #topics = new Map<string, FakeLog[]>();
  readonly #clock: Clock;
  readonly #onAppend: () => void;
  readonly #onMetadata: () => void;
  #nextPartition = 0;

  /** `onAppend` is called when a log has changed, `onMetadata` when there are other topics or partitions. */
  constructor(clock: Clock, onAppend: () => void, onMetadata: () => void) {
    this.#clock = clock;
    this.#onAppend = onAppend;
    this.#onMetadata = onMetadata;
  }

  names(): readonly string[] {
    return [...this.#topics.keys()];
  }

  /** How many partitions a topic has; undefined when it does not exist. */
  partitionCount(topic: string): number | undefined {
    return this.#topics.get(topic)?.length;
  }

  log(partition: TopicPartition): FakeLog | undefined {
    return this.#topics.get(partition.topic)?.[partition.partition];
  }

  logs(topic: string): readonly FakeLog[] {
    const logs = this.#topics.get(topic);
    if (logs === undefined) throw new UnknownTopicError([topic]);
    return logs;
  }

  create(topic: string, partitions: number): void {
    if (this.#topics.has(topic)) throw new ClientError(`topic ${JSON.stringify(topic)} exists already`);
    this.#topics.set(topic, []);
    this.grow(topic, partitions);
  }

  /** Adds partitions until there are `partitions` of them. */
  grow(topic: string, partitions: number): void {
    const logs = this.#topics.get(topic);
    if (logs === undefined) throw new UnknownTopicError([topic]);
    while (logs.length < partitions) logs.push(new FakeLog(topic, logs.length));
    this.#onMetadata();
  }

  delete(topic: string): void {
    if (!this.#topics.delete(topic)) throw new UnknownTopicError([topic]);
    this.#onMetadata();
  }

  /** Appends a message where its partition or its key says, else to one partition after the other. */
  append(message: OutgoingRecord, transaction?: object): OwnedRecord {
    const logs = this.#topics.get(message.topic);
    const key = toBytes(message.key ?? null);
    const log = logs?.[message.partition ?? this.#partitionFor(key, logs.length)];
    if (log === undefined) throw new UnknownTopicError([message.topic]);
    const record = log.append(this.#clock.now(), key, toBytes(message.value), toHeaders(message.headers), transaction);
    this.#onAppend();
    return record;
  }

  /** Changes a partition's log and tells those who read it. */
  change(partition: TopicPartition, change: (log: FakeLog) => void): void {
    const log = this.log(partition);
    if (log === undefined) throw new UnknownTopicError([partition.topic]);
    change(log);
    this.#onAppend();
  }

  /** Ends a transaction in every log that it wrote to. */
  endTransaction(transaction: object, how: 'commit' | 'abort'): void {
    for (const logs of this.#topics.values()) for (const log of logs) log.endTransaction(transaction, how);
    this.#onAppend();
  }

  #partitionFor(key: Buffer | null, partitions: number): number {
    if (key === null) return this.#nextPartition++ % partitions;
    let hash = 2_166_136_261;
    for (const byte of key) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
    return hash % partitions;
  }
}

function toBytes(value: Buffer | string | null): Buffer | null {
  return value === null ? null : Buffer.from(value as Buffer);
}

function toHeaders(headers: OutgoingRecord['headers']): Headers {
  if (headers === undefined) return noHeaders;
  const entries = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
  return entries.length === 0
    ? noHeaders
    : new HeaderList(entries.map(([name, value]) => [name, toBytes(value)] as const));
}
