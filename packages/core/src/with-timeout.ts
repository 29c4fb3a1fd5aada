import type { Clock, Timer } from './clock.ts';

/** Waits for a promise, at most `timeoutMs`. Whether it was resolved in time; rejects as it does. What comes after the time is ignored. */
export async function withTimeout(promise: Promise<unknown>, timeoutMs: number, clock: Clock): Promise<boolean> {
  const inTime = promise.then(() => true);
  if (timeoutMs === Number.POSITIVE_INFINITY) return await inTime;
  let timer: Timer | undefined;
  const timeIsUp = new Promise<boolean>((resolve) => {
    timer = clock.setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([inTime, timeIsUp]);
  } finally {
    timer?.clear();
  }
}
