import type { KafkaRecord } from './record.ts';

/**
 * In what order records are handled and how many at once, as data: one scheduler (`lanes.ts`) executes every strategy.
 * Made by the factories of `@kafka-worker/strategies`.
 */
export interface ConcurrencyStrategy {
  readonly kind: 'concurrency';
  /** For messages to people: `serial`, `perPartition`. */
  readonly name: string;
  readonly lanes: LaneRule;
}

/**
 * Which records share a lane, and what runs at once. A lane is a FIFO queue: its records are taken in the order in which they were polled.
 * Counts are whole numbers from 1 up, or `Infinity`.
 */
export interface LaneRule {
  /**
   * One lane for all records, one per partition, one per key (compared by bytes), or one per name that a function returns. The function sees the
   * record as the handler does; if it throws, that is the record's failure.
   */
  readonly by: 'all' | 'partition' | 'key' | ((record: KafkaRecord<never, never>) => string);
  /** Where equal keys, or equal names, are one lane: within a partition, a topic, or everywhere. @defaultValue `'partition'` */
  readonly across?: 'partition' | 'topic' | 'all';
  /** By key: what orders records without one. @defaultValue `'parallel'`, nothing does */
  readonly nullKeys?: 'parallel' | 'per-partition' | 'one-lane';
  /** How many lanes may be active (have a handler call running) at once. */
  readonly active: number;
  /** Where lanes with rules inside are limited by `active`: how long one keeps its place while others wait. @defaultValue 1,000 records or 1,000 ms */
  readonly turn?: LaneTurn;
  /** How many handler calls may run at once below this level. @defaultValue `Infinity` */
  readonly calls?: number;
  /** How many handler calls may start in a second, evenly spread. On the outermost level only. @defaultValue `Infinity` */
  readonly startsPerSecond?: number;
  /** What orders the records inside a lane: how many calls may run from it at once, or rules of its own. */
  readonly inside: LaneWidth | LaneRule;
}

/** Width 1 keeps a lane's order, also through retries, unless it is `unordered`: then a call that waits for its retry keeps nobody. */
export interface LaneWidth {
  readonly width: number;
  readonly unordered?: boolean;
}

/** A turn ends with the first of both. Then what runs is finished, and the place goes to the lane that has waited longest. */
export interface LaneTurn {
  readonly maxRecords: number;
  readonly maxMs: number;
}
