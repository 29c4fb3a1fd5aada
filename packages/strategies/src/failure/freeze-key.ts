import type { FailurePolicy } from '@kafka-worker/core';
import { checkNoOptions } from '../option-checks.ts';

/**
 * Only the failed record's key (under `laneBy` its lane) stops, and every other key goes on. The partition's offset stays before the record, so what
 * lies above it grows until `limits.aheadOfFrontier`; then the partition's intake stops, and health says so. Needs `perKey()` or `laneBy()`.
 * `worker.unfreeze({ topic, partition, key })` tries the record again, with `skip: true` it passes it over; after a restart it comes first.
 */
export function freezeKey(...none: readonly never[]): FailurePolicy {
  checkNoOptions('freezeKey', none);
  return { kind: 'failure', name: 'freezeKey', may: ['freeze-key'], decide: () => ({ do: 'freeze', scope: 'key' }) };
}
