import type { WorkerState } from './lifecycle.ts';
import type { NextOffset, TopicPartition } from './record.ts';

/** One owned partition, as it is now. */
export interface PartitionStatus extends TopicPartition {
  /** Everything before it is finished. */
  readonly nextOffset: number;
  readonly committedOffset: number | undefined;
  /** Records received and not finished. */
  readonly inFlight: number;
  /** How long `nextOffset` has not moved, in milliseconds: looked at every few seconds, and 0 while nothing is in flight. */
  readonly stillMs: number;
  /** Records between `nextOffset` and the log's end; undefined until the client has heard of the end. */
  readonly lag: number | undefined;
  /** The user has paused it. */
  readonly isPaused: boolean;
  /** Where it, or keys of it, stand still until they are unfrozen. */
  readonly frozen: readonly {
    readonly scope: 'partition' | 'key';
    readonly offset: number;
    /** The record's key as text; under `laneBy` the lane's name. */
    readonly key: string | null;
    /** Milliseconds since the epoch. */
    readonly since: number;
    /** How long that is, in milliseconds: nobody needs a clock that agrees with the worker's. */
    readonly forMs: number;
    readonly error: string;
  }[];
  /**
   * The record that keeps `nextOffset` where it is, if a call of it runs, waits or stands still: the one at `nextOffset`, or, where lanes go across
   * partitions, one of another partition that holds its lane.
   */
  readonly blockedBy?: TopicPartition & {
    readonly offset: number;
    readonly key: string | null;
    /**
     * Of a call that runs the attempt that runs; of one that waits for a retry, or is frozen, the attempt to come; of one whose dead letter is being
     * written the attempt that failed.
     */
    readonly attempt: number;
    /** Milliseconds since its first failure, or, before that, since its call started. */
    readonly sinceMs: number;
  };
}

/** A lane with records that wait in it. */
export interface LaneStatus extends TopicPartition {
  /** What its records share: their key as text, or its name under `laneBy`. Null for a key of null, undefined where lanes are of something else. */
  readonly name: string | null | undefined;
  readonly queued: number;
}

/** A worker, as it is now. */
export interface WorkerStatus {
  readonly state: WorkerState;
  readonly partitions: readonly PartitionStatus[];
  readonly inFlightRecords: number;
  readonly inFlightBytes: number;
  readonly lanes: {
    /** Lanes with records or calls. */
    readonly open: number;
    /** Handler calls that run, or whose messages are under way. */
    readonly runningCalls: number;
    /** Those that most records wait in, at most ten, the fullest first. */
    readonly fullest: readonly LaneStatus[];
  };
}

/** Whether a worker does its work, with reasons a person can act on. */
export interface WorkerHealth {
  readonly live: boolean;
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** What a worker did, when it has ended. */
export interface WorkerSummary {
  readonly state: WorkerState;
  /** Records whose handler succeeded. */
  readonly handled: number;
  /** Records that failed for good, whatever was done about them. */
  readonly failed: number;
  /** Partitions with records that were polled and are not finished, and where they go on. */
  readonly left: readonly NextOffset[];
  /**
   * Records whose handlers ignore their aborted signals, if there are any: the worker's client stays connected, and its partitions stay its own, until
   * they have returned or the process ends.
   */
  readonly stuck?: readonly (TopicPartition & { readonly offset: number })[];
  readonly error?: Error;
}
