import type { StartOffset, Watermarks } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { OffsetOutOfRangeError } from '../log-errors.ts';
import type { NextOffset, OwnedRecord, TopicPartition } from '../record.ts';
import { partitionKey } from './fake-kafka-assignor.ts';
import type { FakeTopics } from './fake-kafka-topics.ts';

interface FetchedPartition extends TopicPartition {
  position: number;
  /** The read position that was last reported. */
  reported: number | undefined;
  /** Out of range was reported; nothing is read until somebody seeks. */
  isOutOfRange: boolean;
}

/** What one round of fetching brought. */
export interface Fetched {
  readonly records: OwnedRecord[];
  readonly positions: NextOffset[];
  readonly errors: KafkaWorkerError[];
}

/** Reads the logs of a consumer's partitions, each from its position. */
export class FakeFetcher {
  readonly #topics: FakeTopics;
  readonly #partitions = new Map<string, FetchedPartition>();
  readonly #paused = new Set<string>();
  readonly #watermarks = new Map<string, Watermarks>();
  #turn = 0;

  constructor(topics: FakeTopics) {
    this.#topics = topics;
  }

  start({ topic, partition, offset }: StartOffset): void {
    this.#paused.delete(partitionKey({ topic, partition }));
    this.#partitions.set(partitionKey({ topic, partition }), {
      topic,
      partition,
      position: offset,
      reported: undefined,
      isOutOfRange: false,
    });
  }

  stop(partition: TopicPartition): void {
    const key = partitionKey(partition);
    this.#partitions.delete(key);
    this.#paused.delete(key);
    this.#watermarks.delete(key);
  }

  seek(to: StartOffset): void {
    const fetched = this.#partitions.get(partitionKey(to));
    if (fetched === undefined) return;
    fetched.position = to.offset;
    fetched.reported = undefined;
    fetched.isOutOfRange = false;
  }

  pause(partition: TopicPartition): void {
    this.#paused.add(partitionKey(partition));
  }

  resume(partition: TopicPartition): void {
    this.#paused.delete(partitionKey(partition));
  }

  watermarks(partition: TopicPartition): Watermarks | undefined {
    return this.#watermarks.get(partitionKey(partition));
  }

  /**
   * At most `maxRecords` records, an equal share of each partition that `isReadable` accepts as long as that is enough to fill it up,
   * beginning with another partition each time.
   */
  fetch(maxRecords: number, isReadable: (partition: TopicPartition) => boolean): Fetched {
    const fetched: Fetched = { records: [], positions: [], errors: [] };
    const all = [...this.#partitions.values()].filter(
      (p) => !this.#paused.has(partitionKey(p)) && !p.isOutOfRange && isReadable(p),
    );
    const start = all.length === 0 ? 0 : this.#turn++ % all.length;
    let readable = [...all.slice(start), ...all.slice(0, start)];
    for (;;) {
      const left = maxRecords - fetched.records.length;
      const share = Math.ceil(left / Math.max(readable.length, 1));
      readable = readable.filter((partition) =>
        this.#read(partition, Math.min(share, maxRecords - fetched.records.length), fetched),
      );
      if (readable.length === 0 || fetched.records.length >= maxRecords) return fetched;
    }
  }

  /** Reads on in one partition; whether there is more. */
  #read(partition: FetchedPartition, maxRecords: number, into: Fetched): boolean {
    const log = this.#topics.log(partition);
    if (log === undefined) return false;
    const { earliest, latest, stableEnd } = log;
    this.#watermarks.set(partitionKey(partition), { earliest, latest: stableEnd });
    if (partition.position < earliest || partition.position > latest) {
      partition.isOutOfRange = true;
      const { topic, partition: number, position } = partition;
      into.errors.push(new OffsetOutOfRangeError({ topic, partition: number, offset: position }, { earliest, latest }));
      return false;
    }
    const { records, position } = log.read(partition.position, maxRecords);
    into.records.push(...records);
    partition.position = position;
    const isCaughtUp = position === stableEnd;
    if (isCaughtUp && partition.reported !== position) {
      partition.reported = position;
      into.positions.push({ topic: partition.topic, partition: partition.partition, offset: position });
    }
    return !isCaughtUp;
  }
}
