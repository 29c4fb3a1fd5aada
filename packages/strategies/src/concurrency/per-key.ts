import { type ConcurrencyStrategy, InvalidOptionError } from '@kafka-worker/core';
import { checkConcurrency, checkOptions } from '../option-checks.ts';
import { strategy } from './strategy.ts';

/** Start without any. */
export interface PerKeyOptions {
  /** How many keys are worked on at once. @defaultValue 100 */
  readonly concurrency?: number | 'unlimited';
  /**
   * What orders records without a key: nothing, so that each counts as a key of its own (`'parallel'`), their partition (`'per-partition'`), or all
   * of them one order (`'one-lane'`).
   * @defaultValue `'parallel'`
   */
  readonly nullKeys?: 'parallel' | 'per-partition' | 'one-lane';
}

/**
 * Keys at the same time, the records of one key in their order. Keys are compared by their bytes, within a partition: Kafka puts equal keys into
 * the same one. An empty key is a key.
 * @throws InvalidOptionError
 */
export function perKey(options: PerKeyOptions = {}): ConcurrencyStrategy {
  checkOptions('perKey', options, ['concurrency', 'nullKeys']);
  const { concurrency = 100, nullKeys = 'parallel' } = options;
  const active = checkConcurrency('perKey.concurrency', concurrency);
  if (!['parallel', 'per-partition', 'one-lane'].includes(nullKeys)) {
    throw new InvalidOptionError('perKey.nullKeys', "'parallel', 'per-partition' or 'one-lane'", nullKeys);
  }
  return strategy('perKey', { by: 'key', nullKeys, active, inside: { width: 1 } });
}
