import type { KafkaCluster, KafkaConsumer, TopicPartition } from '@kafka-worker/core';
import { UnknownTopicError } from '@kafka-worker/core';
import { CONNECT_TIMEOUT_MS, clientOptions } from './client-options.ts';

/** Looks at a topic and a group from outside: a consumer that never joins. */
export class GroupView {
  readonly #consumer: KafkaConsumer;
  readonly #topic: string;

  private constructor(consumer: KafkaConsumer, topic: string) {
    this.#consumer = consumer;
    this.#topic = topic;
  }

  static async open(kafka: KafkaCluster, groupId: string, topic: string): Promise<GroupView> {
    const consumer = kafka.consumer({ groupId, groupProtocol: 'classic', ...clientOptions });
    try {
      await consumer.connect({ timeoutMs: CONNECT_TIMEOUT_MS });
    } catch (error) {
      await consumer.close();
      throw error;
    }
    return new GroupView(consumer, topic);
  }

  /** Where each partition ends now. @throws UnknownTopicError */
  async endOffsets(): Promise<ReadonlyMap<number, number>> {
    const ends = await this.#consumer.offsetsFor(await this.#partitions(), 'latest');
    return new Map(ends.map(({ partition, offset }) => [partition, offset]));
  }

  /** What the group has committed, by partition; one without an offset is left out. */
  async committed(): Promise<ReadonlyMap<number, number>> {
    const committed = await this.#consumer.committed(await this.#partitions());
    return new Map(
      committed.flatMap(({ partition, offset }) => (offset === undefined ? [] : [[partition, offset] as const])),
    );
  }

  close(): Promise<void> {
    return this.#consumer.close();
  }

  /** Whether the topic exists. */
  async exists(): Promise<boolean> {
    return (await this.#partitionCount()) !== undefined;
  }

  async #partitionCount(): Promise<number | undefined> {
    return (await this.#consumer.partitionCounts([this.#topic])).get(this.#topic);
  }

  async #partitions(): Promise<TopicPartition[]> {
    const count = await this.#partitionCount();
    if (count === undefined) throw new UnknownTopicError([this.#topic]);
    return Array.from({ length: count }, (_, partition) => ({ topic: this.#topic, partition }));
  }
}
