import { KafkaWorkerError } from './kafka-worker-error.ts';
import type { TopicPartition } from './record.ts';

/** The offset where a partition should go on is not in its log: records between were deleted, or the log was cut. */
export class OffsetOutOfRangeError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The first offset that the log has. */
  readonly earliest: number;
  /** The log's end: the offset that its next record will get. */
  readonly latest: number;

  constructor(position: TopicPartition & { offset: number }, range: { earliest: number; latest: number }) {
    const { topic, partition, offset } = position;
    super(
      'OFFSET_OUT_OF_RANGE',
      `${topic}/${partition}: offset ${offset} is outside the log, which has ${range.earliest} to ${range.latest}. ` +
        `Nothing was skipped. Commit another offset for the group, or choose with onOffsetOutOfRange: 'earliest' or 'latest'`,
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.earliest = range.earliest;
    this.latest = range.latest;
  }
}

/**
 * The log is not the one that was read before: its leader has lost what others had (an unclean election), or the topic was deleted and created anew.
 * What stands below `offset` now was never read from `divergesAt` on.
 */
export class LogTruncatedError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The offset that reading had come to. */
  readonly offset: number;
  /** The offset from which on the log is another one. */
  readonly divergesAt: number;

  constructor(position: TopicPartition & { offset: number }, divergesAt: number, why: string) {
    const { topic, partition, offset } = position;
    super(
      'LOG_TRUNCATED',
      `${topic}/${partition}: reading had come to offset ${offset}, and from offset ${divergesAt} on the log is another one now: ${why}. ` +
        `Nothing was skipped. Commit offset ${divergesAt} for the group to handle what stands there now, or a later one`,
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.divergesAt = divergesAt;
  }
}

/** What a broker has of these records cannot be read: their checksum is wrong, say. */
export class CorruptRecordError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The first offset that cannot be read. */
  readonly offset: number;
  /** The last one of its batch, as far as the batch can be believed. */
  readonly lastOffset: number;

  constructor(place: TopicPartition & { offset: number }, lastOffset: number, reason: string) {
    const { topic, partition, offset } = place;
    super(
      'CORRUPT_RECORD',
      `${topic}/${partition}: offsets ${offset} to ${lastOffset} cannot be read: ${reason}. Nothing was skipped. ` +
        `To go on without them commit offset ${lastOffset + 1} for the group`,
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.lastOffset = lastOffset;
  }
}
