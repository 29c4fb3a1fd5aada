import { setTimeout as sleep } from 'node:timers/promises';

/** A record's key, and how long its handler waits. */
export interface Wait {
  readonly key: number;
  readonly waitMs: number;
}

/** What timers really take in this process: `setTimeout(10)` is longer than 10 ms. The clock of every ideal. */
export class TimerClock {
  /** Mean milliseconds by the wait as Node takes it. */
  readonly #means: ReadonlyMap<number, number>;

  private constructor(means: ReadonlyMap<number, number>) {
    this.#means = means;
  }

  /** Runs a bare chain of timers with these waits, each set when the one before has fired. */
  static async measure(waitsMs: readonly number[]): Promise<TimerClock> {
    const taken = new Map<number, { sum: number; count: number }>();
    let before = performance.now();
    for (const waitMs of waitsMs) {
      await bareTimer(waitMs);
      const now = performance.now();
      const { sum, count } = taken.get(asNodeTakes(waitMs)) ?? { sum: 0, count: 0 };
      taken.set(asNodeTakes(waitMs), { sum: sum + now - before, count: count + 1 });
      before = now;
    }
    return new TimerClock(new Map([...taken].map(([waitMs, { sum, count }]) => [waitMs, sum / count])));
  }

  msOf(waitMs: number): number {
    const mean = this.#means.get(asNodeTakes(waitMs));
    if (mean === undefined) throw new Error(`no timer of ${waitMs} ms was measured`);
    return mean;
  }
}

/** Seconds that the waits take at best: every slot always in use, or the longest key, one record after the other, if that is longer. */
export function idealSeconds(waits: readonly Wait[], concurrency: number, clock: TimerClock): number {
  const byKey = new Map<number, number>();
  let total = 0;
  for (const { key, waitMs } of waits) {
    const ms = clock.msOf(waitMs);
    total += ms;
    byKey.set(key, (byKey.get(key) ?? 0) + ms);
  }
  let longest = 0;
  for (const ms of byKey.values()) longest = Math.max(longest, ms);
  return Math.max(total / concurrency, longest) / 1_000;
}

/** A handler's wait: nothing but a timer. */
export function bareTimer(waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, waitMs);
  });
}

/** Whole milliseconds, at least one. */
function asNodeTakes(waitMs: number): number {
  return Math.max(1, Math.trunc(waitMs));
}

/** Lets the broker and the client's threads finish what the last run left, before the clock starts again. */
export function settle(): Promise<void> {
  return sleep(200);
}
