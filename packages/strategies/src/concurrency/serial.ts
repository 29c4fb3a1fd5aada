import type { ConcurrencyStrategy } from '@kafka-worker/core';
import { checkNoOptions } from '../option-checks.ts';
import { strategy } from './strategy.ts';

/**
 * One record at a time, whatever partition it is of: for handlers that must never run twice at once.
 * Partitions are taken in the order in which they are polled; inside each one the order is Kafka's.
 */
export function serial(...none: readonly never[]): ConcurrencyStrategy {
  checkNoOptions('serial', none);
  return strategy('serial', { by: 'all', active: 1, inside: { width: 1 } });
}
