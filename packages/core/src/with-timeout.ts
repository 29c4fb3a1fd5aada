import type { Clock } from './clock.ts';

/** Waits for a promise, at most `timeoutMs`. Whether it was resolved in time; rejects as it does. What comes after the time is ignored. */
export function withTimeout(promise: Promise<unknown>, timeoutMs: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer =
      timeoutMs === Number.POSITIVE_INFINITY ? undefined : clock.setTimeout(() => resolve(false), timeoutMs);
    promise.then(
      () => {
        timer?.clear();
        resolve(true);
      },
      (error: unknown) => {
        timer?.clear();
        reject(error);
      },
    );
  });
}
