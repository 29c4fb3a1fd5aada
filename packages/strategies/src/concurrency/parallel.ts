import type { ConcurrencyStrategy } from '@kafka-worker/core';
import { checkConcurrency, checkOptions } from '../option-checks.ts';
import { strategy } from './strategy.ts';

/** Start without any. */
export interface ParallelOptions {
  /** How many handler calls run at once. @defaultValue 100 */
  readonly concurrency?: number | 'unlimited';
}

/**
 * Everything at once, without any order: for handlers to which the order means nothing. Offsets are committed in order all the same, only over
 * records that are finished. `'unlimited'` still has the bound of what is in flight (`limits.inFlightRecords`).
 * @throws InvalidOptionError
 */
export function parallel(options: ParallelOptions = {}): ConcurrencyStrategy {
  checkOptions('parallel', options, ['concurrency']);
  const { concurrency = 100 } = options;
  const width = checkConcurrency('parallel.concurrency', concurrency);
  return strategy('parallel', { by: 'all', active: 1, inside: { width, unordered: true } });
}
