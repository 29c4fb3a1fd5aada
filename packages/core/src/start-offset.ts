import type { GroupHistory } from './group-history.ts';
import type { Watermarks } from './kafka-client.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import type { NextOffset, TopicPartition } from './record.ts';

/** What is known when a partition's start is decided. */
export interface StartQuestion {
  readonly partition: TopicPartition;
  readonly history: GroupHistory;
  readonly range: Watermarks;
  /** Where `startFrom` lies in this partition. */
  readonly startFromOffset: number;
  readonly onOffsetOutOfRange: 'fail' | 'earliest' | 'latest';
  /** Where the delivery's own store goes on, which overrules what is committed. */
  readonly storedOffset: number | undefined;
}

/** Where a partition starts. The metadata goes into every commit of it. */
export interface Start extends NextOffset {
  readonly metadata: string;
  /** Undefined where nothing is committed, or something that is not where the partition starts. */
  readonly committedOffset: number | undefined;
  /** Nobody said whether it is in the log: that is to be asked again. */
  readonly isUnchecked?: boolean;
}

/**
 * Where a newly assigned partition starts. Pure.
 * @throws OffsetOutOfRangeError when the offset to go on from is not in the log and the option says fail
 */
export function startOffset(question: StartQuestion): Start {
  const { partition, history, range, storedOffset } = question;
  const committedOffset = history.offsetOf(partition);
  const metadata = history.metadataFor(partition);
  const known = storedOffset ?? committedOffset;
  if (known === undefined) {
    const offset = history.isLater(partition) ? range.earliest : question.startFromOffset;
    return { ...partition, offset, metadata, committedOffset };
  }
  if (known >= range.earliest && known <= range.latest) {
    const leaderEpoch = known === committedOffset ? history.leaderEpochOf(partition) : undefined;
    const start = { ...partition, offset: known, metadata, committedOffset };
    return leaderEpoch === undefined ? start : { ...start, leaderEpoch };
  }
  if (question.onOffsetOutOfRange === 'fail') throw new OffsetOutOfRangeError({ ...partition, offset: known }, range);
  return { ...partition, offset: range[question.onOffsetOutOfRange], metadata, committedOffset };
}
