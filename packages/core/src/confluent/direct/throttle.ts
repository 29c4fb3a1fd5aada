import { PollError } from '../../errors.ts';
import type { Reported } from './reported.ts';

/**
 * For no longer than this a broker is left alone, whatever it asks for. Quotas are kept over windows of a second, eleven of them by default, so no healthy
 * broker asks for more. A number beyond it is nonsense, and would leave partitions unread for up to weeks.
 */
const LONGEST_MS = 30_000;

/** How long to leave a broker alone that asks for so much. */
export function boundedThrottleMs(askedMs: number): number {
  return Math.min(Math.max(askedMs, 0), LONGEST_MS);
}

/** Says it, once until it has passed, when a broker asks for more than it gets. */
export function reportThrottle(reported: Reported, brokerId: number, askedMs: number): void {
  const what = `throttle of broker ${brokerId}`;
  if (askedMs <= LONGEST_MS) {
    reported.ended(what);
    return;
  }
  const message = `broker ${brokerId} asks to be left alone for ${askedMs} ms, and is asked for records again after ${LONGEST_MS} ms`;
  reported.begins(what, new PollError(message, { retriable: true }));
}
