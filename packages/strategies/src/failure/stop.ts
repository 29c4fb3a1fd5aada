import type { FailurePolicy } from '@kafka-worker/core';
import { checkNoOptions } from '../option-checks.ts';

/** A failure ends the worker. The record is not done: its offset is what the group goes on from, so a restart delivers it first. */
export function stop(...none: readonly never[]): FailurePolicy {
  checkNoOptions('stop', none);
  return { kind: 'failure', name: 'stop', may: ['stop'], decide: () => ({ do: 'stop' }) };
}
