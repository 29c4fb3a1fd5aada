import { OffsetOutOfRangeError } from './errors.ts';
import { formatGroupOrigin, type GroupOrigin, parseGroupOrigin } from './group-origin.ts';
import type { CommittedOffset, Watermarks } from './kafka-client.ts';
import type { NextOffset, TopicPartition } from './record.ts';

/** What is known when a partition's start is decided. */
export interface StartQuestion {
  readonly partition: TopicPartition;
  /** Of every partition of every subscribed topic, with and without an offset. */
  readonly committed: readonly CommittedOffset[];
  /** How many partitions each subscribed topic has now. */
  readonly partitionCounts: ReadonlyMap<string, number>;
  readonly range: Watermarks;
  /** Where `startFrom` lies in this partition. */
  readonly startFromOffset: number;
  readonly onOffsetOutOfRange: 'fail' | 'earliest' | 'latest';
  /** Where the delivery's own store goes on, which overrules what is committed. */
  readonly storedOffset: number | undefined;
  /** The topic was not there when this worker started. */
  readonly isNewTopic: boolean;
}

/** Where a partition starts. The metadata goes into every commit of it. */
export interface Start extends NextOffset {
  readonly metadata: string;
  /** Undefined where nothing is committed, or something that is not where the partition starts. */
  readonly committedOffset: number | undefined;
}

/**
 * Where a newly assigned partition starts. Pure.
 * @throws OffsetOutOfRangeError when the offset to go on from is not in the log and the option says fail
 */
export function startOffset(question: StartQuestion): Start {
  const { partition, committed, range, storedOffset } = question;
  const own = committed.find((one) => one.topic === partition.topic && one.partition === partition.partition);
  const metadata = formatGroupOrigin(originOf(question));
  const known = storedOffset ?? own?.offset;
  if (known === undefined) {
    const offset = isLater(question) ? range.earliest : question.startFromOffset;
    return { ...partition, offset, metadata, committedOffset: undefined };
  }
  if (known >= range.earliest && known <= range.latest)
    return { ...partition, offset: known, metadata, committedOffset: own?.offset };
  if (question.onOffsetOutOfRange === 'fail') throw new OffsetOutOfRangeError({ ...partition, offset: known }, range);
  return { ...partition, offset: range[question.onOffsetOutOfRange], metadata, committedOffset: own?.offset };
}

/** Whether a partition without an offset appeared after the group had started. */
function isLater(question: StartQuestion): boolean {
  const { partition, committed, isNewTopic } = question;
  if (isNewTopic) return true;
  const withOffset = committed.filter((one) => one.offset !== undefined);
  const ofTopic = withOffset.filter((one) => one.topic === partition.topic);
  if (ofTopic.length > 0) {
    const origin = firstOrigin(ofTopic);
    return origin === undefined || partition.partition >= origin.partitions;
  }
  // Nothing of the topic is committed. It was there from the start only if some topic of the start has no offset yet.
  const origin = firstOrigin(withOffset);
  const topicsWithOffset = new Set(withOffset.map((one) => one.topic)).size;
  return origin !== undefined && topicsWithOffset >= origin.topics;
}

function originOf({ partition, committed, partitionCounts }: StartQuestion): GroupOrigin {
  const ofTopic = firstOrigin(committed.filter((one) => one.topic === partition.topic));
  const topics = firstOrigin(committed)?.topics ?? Math.max(1, partitionCounts.size);
  return ofTopic ?? { partitions: partitionCounts.get(partition.topic) ?? partition.partition + 1, topics };
}

function firstOrigin(committed: readonly CommittedOffset[]): GroupOrigin | undefined {
  for (const { metadata } of committed) {
    const origin = parseGroupOrigin(metadata);
    if (origin !== undefined) return origin;
  }
  return undefined;
}
