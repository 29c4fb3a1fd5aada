import {
  commonOrigin,
  formatGroupOrigin,
  type GroupOrigin,
  parseGroupOrigin,
  topicFingerprint,
} from './group-origin.ts';
import type { CommittedOffset } from './kafka-client.ts';
import type { TopicPartition } from './record.ts';

/** Where a group goes on, and the leader's epoch before that. */
interface CommittedPlace {
  readonly offset: number;
  readonly leaderEpoch: number | undefined;
}

/** What a group's committed offsets tell about one topic. */
interface TopicHistory {
  readonly offsets: Map<number, CommittedPlace>;
  /** Undefined where nothing is committed, or only by something else. */
  origin: GroupOrigin | undefined;
}

/** What a group has committed of the topics that it is subscribed to, and what follows for partitions that have no offset. Pure. */
export class GroupHistory {
  readonly #byTopic = new Map<string, TopicHistory>();
  readonly #partitionCounts: ReadonlyMap<string, number>;
  readonly #isNew: (topic: string) => boolean;
  /** Undefined before the first commit. */
  readonly #topics: ReadonlySet<string> | undefined;

  /**
   * @param committed of every partition of every subscribed topic, with and without an offset
   * @param partitionCounts how many partitions each subscribed topic has now
   * @param isNew whether a topic appeared after this worker had started
   */
  constructor(
    committed: Iterable<CommittedOffset>,
    partitionCounts: ReadonlyMap<string, number>,
    isNew: (topic: string) => boolean,
  ) {
    this.#partitionCounts = partitionCounts;
    this.#isNew = isNew;
    const known = new Map<string, GroupOrigin | undefined>();
    for (const { topic, partition, offset, leaderEpoch, metadata = '' } of committed) {
      if (offset === undefined) continue;
      // The same metadata stands in most of them.
      if (!known.has(metadata)) known.set(metadata, parseGroupOrigin(metadata));
      const ofTopic = this.#byTopic.get(topic) ?? { offsets: new Map<number, CommittedPlace>(), origin: undefined };
      this.#byTopic.set(topic, ofTopic);
      const origin = known.get(metadata);
      // Some clients commit the epoch that they have begun with, or 0 where they know none, with every offset.
      ofTopic.offsets.set(partition, { offset, leaderEpoch: origin === undefined ? undefined : leaderEpoch });
      ofTopic.origin = agreed(ofTopic.origin, origin);
    }
    let all: GroupOrigin | undefined;
    for (const origin of known.values()) all = agreed(all, origin);
    // Offsets without an origin are those of another client: what there was at its start is not known.
    this.#topics = this.#byTopic.size === 0 ? undefined : (all?.topics ?? new Set());
  }

  /** The committed offset. */
  offsetOf({ topic, partition }: TopicPartition): number | undefined {
    return this.#byTopic.get(topic)?.offsets.get(partition)?.offset;
  }

  /** What a worker has committed with it; undefined where something else has committed it. */
  leaderEpochOf({ topic, partition }: TopicPartition): number | undefined {
    return this.#byTopic.get(topic)?.offsets.get(partition)?.leaderEpoch;
  }

  /** Whether a partition without an offset appeared after the group had started, as far as can be known: in doubt it did, which skips nothing. */
  isLater({ topic, partition }: TopicPartition): boolean {
    if (this.#isNew(topic)) return true;
    if (this.#topics === undefined) return false;
    const ofTopic = this.#byTopic.get(topic);
    return (
      !this.#topics.has(topicFingerprint(topic)) ||
      (ofTopic !== undefined && partition >= (ofTopic.origin?.partitions ?? 0))
    );
  }

  /** For the metadata of the partition's commits. */
  metadataFor({ topic, partition }: TopicPartition): string {
    const ofTopic = this.#byTopic.get(topic);
    const now = this.#partitionCounts.get(topic) ?? partition + 1;
    return formatGroupOrigin({
      partitions: ofTopic === undefined ? now : (ofTopic.origin?.partitions ?? 0),
      topics: this.#topics ?? this.#topicsNow(topic),
    });
  }

  #topicsNow(topic: string): ReadonlySet<string> {
    const old = [...this.#partitionCounts.keys(), topic].filter((one) => !this.#isNew(one));
    return new Set(old.map(topicFingerprint));
  }
}

function agreed(one: GroupOrigin | undefined, other: GroupOrigin | undefined): GroupOrigin | undefined {
  return one === undefined || other === undefined ? (one ?? other) : commonOrigin(one, other);
}
