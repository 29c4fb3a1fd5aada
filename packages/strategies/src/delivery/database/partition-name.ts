import type { TopicPartition } from '@kafka-worker/core';

/** A partition, as people and maps know it. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
