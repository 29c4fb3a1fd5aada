import type { ConcurrencyStrategy } from '@kafka-worker/core';
import { checkConcurrency, checkStrategy } from '../option-checks.ts';

/** Start without any; `concurrency` limits how many partitions are worked on. */
export interface PerPartitionOptions {
  /** How many partitions are worked on at once. @defaultValue `'unlimited'`: every assigned one */
  readonly concurrency?: number | 'unlimited';
  /** How the records of one partition are handled. @defaultValue one at a time, in order */
  readonly within?: ConcurrencyStrategy;
}

/**
 * Partitions at the same time, each in its order: Kafka's own guarantee, and the default.
 * @throws InvalidOptionError
 */
export function perPartition(options: PerPartitionOptions = {}): ConcurrencyStrategy {
  const { concurrency = 'unlimited', within } = options;
  const active = checkConcurrency('perPartition.concurrency', concurrency);
  if (within === undefined) {
    return { kind: 'concurrency', name: 'perPartition', lanes: { by: 'partition', active, inside: { width: 1 } } };
  }
  checkStrategy('perPartition.within', within);
  const name = `perPartition(${within.name})`;
  return { kind: 'concurrency', name, lanes: { by: 'partition', active, inside: within.lanes } };
}
