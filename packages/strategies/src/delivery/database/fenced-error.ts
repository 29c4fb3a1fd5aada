import type { TopicPartition } from '@kafka-worker/core';

/** Another worker has taken the partition in the database since this one did: nothing of this transaction is written. */
export class FencedError extends Error implements TopicPartition {
  override readonly name = 'FencedError';
  readonly topic: string;
  readonly partition: number;

  constructor({ topic, partition }: TopicPartition) {
    super(`${topic}/${partition} was taken by another worker in the database: what was under way is rolled back`);
    this.topic = topic;
    this.partition = partition;
  }
}
