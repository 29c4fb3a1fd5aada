/** Waits for a promise, but no longer than `ms`. True when it settled in time, however it did. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, timeUp]);
  } finally {
    clearTimeout(timer);
  }
}

/** The promise's own outcome, or a rejection with `lateError()` when it takes longer than `ms`. */
export async function within<T>(promise: Promise<T>, ms: number, lateError: () => Error): Promise<T> {
  if (await settledWithin(promise, ms)) return promise;
  promise.catch(() => {});
  throw lateError();
}

/** Resolves after `ms`. */
export function pauseFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
