import type { ConcurrencyStrategy } from '@kafka-worker/core';
import { checkConcurrency, checkOptions } from '../option-checks.ts';
import { strategy } from './strategy.ts';
import { checkStrategyInside } from './strategy-inside.ts';
import { type TurnOptions, turnOf } from './turn.ts';

/** Start without any; `concurrency` limits how many partitions are worked on. */
export interface PerPartitionOptions {
  /** How many partitions are worked on at once. @defaultValue `'unlimited'`: every assigned one */
  readonly concurrency?: number | 'unlimited';
  /** How the records of one partition are handled. @defaultValue one at a time, in order */
  readonly within?: ConcurrencyStrategy;
  /** Where `concurrency` limits and `within` is given: how long a partition keeps its place while others wait. */
  readonly turn?: TurnOptions;
}

/**
 * Partitions at the same time, each in its order: Kafka's own guarantee, and the default.
 * With `within`, a partition's records are handled as that strategy says; a partition then keeps its place for a turn.
 * @throws InvalidOptionError
 */
export function perPartition(options: PerPartitionOptions = {}): ConcurrencyStrategy {
  checkOptions('perPartition', options, ['concurrency', 'within', 'turn']);
  const { concurrency = 'unlimited', within } = options;
  const active = checkConcurrency('perPartition.concurrency', concurrency);
  const turn = turnOf('perPartition', options);
  if (within === undefined) return strategy('perPartition', { by: 'partition', active, inside: { width: 1 } });
  checkStrategyInside('perPartition.within', within);
  return strategy(`perPartition(${within.name})`, { by: 'partition', active, ...turn, inside: within.lanes });
}
