import type { RawMessage } from '../confluent/confluent-record.ts';
import type { Done, NativeConsumer } from '../confluent/native-client.ts';
import type { TopicPartition } from '../record.ts';

interface NativePartition {
  /** What is fetched next, and the offset behind what was delivered. */
  fetch: number;
  delivered: number;
}

/** It fetches so many ahead of what is delivered. */
const AHEAD = 4;

/**
 * librdkafka's consumer, as far as a reader uses it, on logs that hold every offset of a topic up to `end`. What was fetched of a partition goes when it is
 * paused, sought or taken away; its mark of being paused stays.
 */
export class NativeLog {
  readonly #partitions = new Map<string, NativePartition>();
  readonly #paused = new Set<string>();
  #queue: RawMessage[] = [];
  #eof: (end: TopicPartition & { offset: number }) => void = () => {};
  readonly end: number;
  /** All that it has brought, as `topic/partition@offset`. */
  readonly brought: string[] = [];
  /** Calls of seek fail so often. */
  seekFailures = 0;
  /** They answer only behind this. */
  seekGate: Promise<void> = Promise.resolve();

  constructor(end: number) {
    this.end = end;
  }

  get client(): NativeConsumer {
    return this as unknown as NativeConsumer;
  }

  /** The numbers of those that it delivers. */
  get flowing(): string[] {
    return [...this.#partitions.keys()].filter((name) => !this.#paused.has(name));
  }

  on(event: string, listener: (end: TopicPartition & { offset: number }) => void): this {
    if (event === 'partition.eof') this.#eof = listener;
    return this;
  }

  setDefaultConsumeTimeout(): void {}

  incrementalAssign(starts: readonly (TopicPartition & { offset: number })[]): void {
    for (const { topic, partition, offset } of starts)
      this.#partitions.set(`${topic}/${partition}`, { fetch: offset, delivered: offset });
  }

  incrementalUnassign(partitions: readonly TopicPartition[]): void {
    this.#forget(partitions);
    for (const { topic, partition } of partitions) this.#partitions.delete(`${topic}/${partition}`);
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#forget(partitions);
    for (const { topic, partition } of partitions) this.#paused.add(`${topic}/${partition}`);
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#paused.delete(`${topic}/${partition}`);
  }

  seek(position: TopicPartition & { offset: number }, _timeoutMs: number, done: Done): void {
    void this.seekGate.then(() => {
      const own = this.#partitions.get(`${position.topic}/${position.partition}`);
      if (own === undefined || this.seekFailures-- > 0) {
        done(new Error('it cannot be moved'));
        return;
      }
      own.delivered = position.offset;
      this.#forget([position]);
      done(null);
    });
  }

  position(): object[] {
    return [];
  }

  getWatermarkOffsets(): { lowOffset: number; highOffset: number } {
    return { lowOffset: 0, highOffset: this.end };
  }

  consume(count: number, done: Done<RawMessage[] | undefined>): void {
    this.#fetch();
    const messages = this.#queue.splice(0, count);
    for (const { topic, partition, offset } of messages) {
      this.brought.push(`${topic}/${partition}@${offset}`);
      const own = this.#partitions.get(`${topic}/${partition}`);
      if (own !== undefined) own.delivered = offset + 1;
    }
    const atEnd = messages.filter(({ offset }) => offset === this.end - 1);
    setTimeout(() => {
      for (const { topic, partition } of atEnd) this.#eof({ topic, partition, offset: this.end });
      done(null, messages);
    }, 1);
  }

  #fetch(): void {
    for (const [name, own] of this.#partitions) {
      if (this.#paused.has(name)) continue;
      const [topic = '', partition] = name.split('/');
      for (; own.fetch < Math.min(this.end, own.delivered + AHEAD); own.fetch++) {
        const bytes = { value: Buffer.from(`v${own.fetch}`), key: null, size: 2 };
        this.#queue.push({ ...bytes, topic, partition: Number(partition), offset: own.fetch, timestamp: 0 });
      }
    }
  }

  #forget(partitions: readonly TopicPartition[]): void {
    const names = new Set(partitions.map(({ topic, partition }) => `${topic}/${partition}`));
    this.#queue = this.#queue.filter(({ topic, partition }) => !names.has(`${topic}/${partition}`));
    for (const name of names) {
      const own = this.#partitions.get(name);
      if (own !== undefined) own.fetch = own.delivered;
    }
  }
}
