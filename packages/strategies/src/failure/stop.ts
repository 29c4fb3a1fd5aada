import type { FailurePolicy } from '@kafka-worker/core';

/** A failure ends the worker. The record is not done: its offset is what the group goes on from, so a restart delivers it first. */
export function stop(): FailurePolicy {
  return { kind: 'failure', name: 'stop', may: ['stop'], decide: () => ({ do: 'stop' }) };
}
