import type { Clock } from '@kafka-worker/core';
import { Deadline } from './deadline.ts';

/** What the database answers; rejects when it does not in time. What comes after that is ignored. */
export async function within<T>(answer: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  const deadline = new Deadline(clock);
  deadline.begin(timeoutMs);
  try {
    return await Promise.race([answer, deadline.passed]);
  } finally {
    deadline.clear();
  }
}
