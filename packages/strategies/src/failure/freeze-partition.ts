import type { FailurePolicy } from '@kafka-worker/core';
import { checkNoOptions } from '../option-checks.ts';

/**
 * The partition stops at the failed record, and the others go on: for records that must not be passed over while their neighbours are independent.
 * What is queued of it is kept, its offset stays before the record, and `status()`, health and the `frozen` event say which and why.
 * `worker.unfreeze({ topic, partition })` tries the record again, with `skip: true` it passes it over; after a restart it comes first.
 */
export function freezePartition(...none: readonly never[]): FailurePolicy {
  checkNoOptions('freezePartition', none);
  return {
    kind: 'failure',
    name: 'freezePartition',
    may: ['freeze-partition'],
    decide: () => ({ do: 'freeze', scope: 'partition' }),
  };
}
