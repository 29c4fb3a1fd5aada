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
 */
export interface LaneRule {
  /** One lane for all records, one per partition, or one per partition and returned name. */
  readonly by: 'all' | 'partition' | ((record: KafkaRecord) => string);
  /** How many lanes may be active (have a handler call running) at once. `Infinity` for all. */
  readonly active: number;
  /** What orders the records inside a lane: how many calls may run from it at once, where 1 keeps their order, or rules of its own. */
  readonly inside: { readonly width: number } | LaneRule;
}
