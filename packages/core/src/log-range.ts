import type { KafkaConsumer, Watermarks } from './kafka-client.ts';
import type { TopicPartition } from './record.ts';

/** A partition, and where reading it stands or is to go on, if that is known. */
export interface PositionInLog extends TopicPartition {
  readonly offset: number | undefined;
}

/**
 * Asks for the ranges in which positions must lie, in their order. `latest` is the end as the isolation level sees it. A position behind that may
 * be right all the same: a group that has read uncommitted records, or was set to the end by a tool, stands behind a transaction that is open. Then
 * `latest` is the end with all that is in the log.
 */
export async function logRanges(consumer: KafkaConsumer, positions: readonly PositionInLog[]): Promise<Watermarks[]> {
  const partitions = positions.map(({ topic, partition }) => ({ topic, partition }));
  const [earliest, latest] = await Promise.all([
    consumer.offsetsFor(partitions, 'earliest'),
    consumer.offsetsFor(partitions, 'latest'),
  ]);
  const isBehind = (position: PositionInLog): boolean =>
    position.offset !== undefined && position.offset > (offsetOf(latest, position) ?? 0);
  const behind = positions.filter(isBehind).map(({ topic, partition }) => ({ topic, partition }));
  const ends = behind.length === 0 ? [] : await consumer.offsetsFor(behind, 'high-watermark');
  return positions.map((position) => ({
    earliest: offsetOf(earliest, position) ?? 0,
    latest: offsetOf(ends, position) ?? offsetOf(latest, position) ?? 0,
  }));
}

/** A partition's offset in a list of them. */
export function offsetOf(
  offsets: readonly (TopicPartition & { readonly offset: number })[],
  of: TopicPartition,
): number | undefined {
  return offsets.find((one) => one.topic === of.topic && one.partition === of.partition)?.offset;
}
