import { OwnedPartition } from './owned-partition.ts';
import type { NextOffset, ReceivedRecord, TopicPartition } from './record.ts';
import type { Start } from './start-offset.ts';

/** The partitions that are ours now, and which of them a record belongs to. */
export class Assignment implements Iterable<OwnedPartition> {
  readonly #byTopic = new Map<string, (OwnedPartition | undefined)[]>();
  readonly #begun: (owned: OwnedPartition) => void;
  /** Of some partition less may be started than before: what is queued of it is to be looked through. */
  hasNarrowed = false;
  #nextId = 0;
  #size = 0;
  #lastTopic: string | undefined;
  #lastPartitions: (OwnedPartition | undefined)[] = [];

  /** @param begun told of every epoch that begins */
  constructor(begun: (owned: OwnedPartition) => void = () => {}) {
    this.#begun = begun;
  }

  /** Begins an epoch of a partition. */
  begin(start: NextOffset, committedOffset: number | undefined): OwnedPartition {
    const owned = new OwnedPartition(this.#nextId++, start, committedOffset, () => {
      this.hasNarrowed = true;
    });
    const partitions = this.#byTopic.get(start.topic) ?? [];
    if (partitions[start.partition] === undefined) this.#size++;
    partitions[start.partition] = owned;
    this.#byTopic.set(start.topic, partitions);
    this.#begun(owned);
    return owned;
  }

  beginAll(starts: readonly Start[]): void {
    for (const start of starts) this.begin(start, start.committedOffset);
  }

  /** Ends an epoch: results that still come back are dropped. */
  end(owned: OwnedPartition): void {
    owned.end();
    const partitions = this.#byTopic.get(owned.topic);
    if (partitions?.[owned.partition] !== owned) return;
    partitions[owned.partition] = undefined;
    this.#size--;
  }

  get({ topic, partition }: TopicPartition): OwnedPartition | undefined {
    return this.#byTopic.get(topic)?.[partition];
  }

  /** Those of the partitions that are ours. */
  among(partitions: readonly TopicPartition[]): OwnedPartition[] {
    return partitions.flatMap((one) => this.get(one) ?? []);
  }

  ownerOf(record: ReceivedRecord): OwnedPartition | undefined {
    if (record.topic !== this.#lastTopic) {
      const partitions = this.#byTopic.get(record.topic);
      if (partitions === undefined) return undefined;
      this.#lastTopic = record.topic;
      this.#lastPartitions = partitions;
    }
    return this.#lastPartitions[record.partition];
  }

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  *[Symbol.iterator](): Iterator<OwnedPartition> {
    for (const partitions of this.#byTopic.values()) {
      for (const owned of partitions) if (owned !== undefined) yield owned;
    }
  }
}
