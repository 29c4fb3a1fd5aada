import { type Clock, RetriableError, type Timer } from '@kafka-worker/core';

/** What the database answers; rejects when it does not in time. What comes after that is ignored. */
export async function within<T>(answer: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const isLate = (): void => reject(new RetriableError(`the database did not answer within ${timeoutMs} ms`));
    timer = clock.setTimeout(isLate, timeoutMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer?.clear();
  }
}
