import type { TopicPartition } from '../../record.ts';
import type { BrokerAddress } from './broker-address.ts';
import type { Metadata, TopicMetadata } from './metadata.ts';

/** Who leads a partition, as of which election. */
export interface Leader {
  readonly id: number;
  readonly epoch: number;
}

interface Topic {
  readonly topicId: string;
  readonly leaders: Map<number, Leader>;
}

/** What is known of brokers, topics and leaders. Pure. Of two answers about a leader the one of the later election holds. */
export class ClusterMap {
  readonly #brokers = new Map<number, BrokerAddress>();
  readonly #topics = new Map<string, Topic>();

  brokerOf(id: number): BrokerAddress | undefined {
    return this.#brokers.get(id);
  }

  get brokers(): Iterable<BrokerAddress> {
    return this.#brokers.values();
  }

  topicIdOf(topic: string): string | undefined {
    return this.#topics.get(topic)?.topicId;
  }

  leaderOf({ topic, partition }: TopicPartition): Leader | undefined {
    return this.#topics.get(topic)?.leaders.get(partition);
  }

  /** Takes an answer over; gives the topics that it has something against. */
  learn({ brokers, topics }: Metadata): TopicMetadata[] {
    // An answer lists all there are; one without any comes from a broker that has just started.
    if (brokers.length > 0) this.#brokers.clear();
    for (const broker of brokers) this.#brokers.set(broker.id, broker);
    for (const topic of topics) if (topic.errorCode === 0) this.#learnTopic(topic);
    return topics.filter(({ errorCode }) => errorCode !== 0);
  }

  /** A broker says who leads a partition now. */
  learnLeader({ topic, partition }: TopicPartition, leader: Leader, brokers: readonly BrokerAddress[]): void {
    for (const broker of brokers) this.#brokers.set(broker.id, broker);
    const known = this.#topics.get(topic)?.leaders;
    const before = known?.get(partition);
    if (before === undefined || before.epoch < leader.epoch) known?.set(partition, leader);
  }

  /** Nothing of it holds any more. */
  forgetTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  #learnTopic({ name, topicId, partitions }: TopicMetadata): void {
    const before = this.#topics.get(name);
    // Under another id it is another topic, whose elections begin anew.
    const leaders = before?.topicId === topicId ? before.leaders : new Map<number, Leader>();
    for (const { partition, leaderId, leaderEpoch } of partitions) {
      const known = leaders.get(partition);
      if (known !== undefined && known.epoch > leaderEpoch) continue;
      if (leaderId < 0) leaders.delete(partition);
      else leaders.set(partition, { id: leaderId, epoch: leaderEpoch });
    }
    this.#topics.set(name, { topicId, leaders });
  }
}
