import type { ClientStatistics } from '../client-statistics.ts';
import type { StartOffset, Watermarks } from '../kafka-client.ts';
import type { NextOffset, ReceivedRecord, TopicPartition } from '../record.ts';

/** A partition that is assigned here, as far as others than its reader look at it. */
interface ReadPartition extends TopicPartition {
  /** The offset of the next record to come: what lies below was read, or was never asked for. */
  readonly next: number;
  /** Its revocation has been reported: nothing of it is handed out any more. */
  readonly isWithheld: boolean;
  /** When something of it came last. */
  readonly lastHeardAt: number;
}

/** Where the records of partitions come from. */
export interface PartitionReader {
  readonly owned: Iterable<ReadPartition>;
  /** At most `max` records, and the positions that hold with them. */
  take(max: number): { records: readonly ReceivedRecord[]; positions: readonly NextOffset[] };
  /** Before librdkafka starts on them. */
  own(starts: readonly StartOffset[]): void;
  /** Nothing of these is handed out from now on. */
  withhold(partitions: readonly TopicPartition[]): void;
  /** Before librdkafka gives them back. */
  disown(partitions: readonly TopicPartition[]): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** What it has heard of a partition's ends. */
  watermarks(partition: TopicPartition): Watermarks | undefined;
  /** What librdkafka says of itself, with what this reader has read beside it. */
  statistics(librdkafka: ClientStatistics): ClientStatistics;
}

/** What a consumer, and the member of its group, tell the reader of its records. */
export interface RecordReader extends PartitionReader {
  start(): void;
  /** Resolves when nothing is under way any more, within a bound. */
  stop(): Promise<unknown>;
  /** librdkafka's queue is no longer empty. */
  signal(): void;
  /** Something waits for an answer that comes through librdkafka's queue. */
  hurry(): void;
  /** After librdkafka has taken them. */
  started(partitions: readonly TopicPartition[]): void;
  /** `move` puts librdkafka's own positions elsewhere, of those partitions that are read by them. */
  seek(starts: readonly StartOffset[], move: MoveNatively): Promise<void>;
}

/** Puts librdkafka's own positions elsewhere. */
export type MoveNatively = (starts: readonly StartOffset[]) => Promise<void>;
