import { once } from 'node:events';
import { Worker as Thread } from 'node:worker_threads';

/** How many calls of the busy handler a second so many threads make of their own, when nothing is handed over to them. */
export async function bareCallsPerSecond(count: number, calls: number): Promise<number> {
  const threads = Array.from(
    { length: count },
    () => new Thread(new URL('./bare-thread.mjs', import.meta.url), { execArgv: ['--import', 'tsx'] }),
  );
  const run = (times: number): Promise<unknown> =>
    Promise.all(
      threads.map((thread) => {
        thread.postMessage(times);
        return once(thread, 'message');
      }),
    );
  try {
    // They start, and warm up.
    await run(20);
    const startedAt = performance.now();
    await run(Math.ceil(calls / count));
    return calls / ((performance.now() - startedAt) / 1_000);
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}
