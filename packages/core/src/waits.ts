import type { Clock, Timer } from './clock.ts';

/** Waits that end early, and leave no timer behind, when whoever waits is closed. */
export class Waits {
  readonly #clock: Clock;
  readonly #waiting = new Map<() => void, Timer>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  wait(ms: number): Promise<void> {
    return this.#begin(ms).over;
  }

  /** Waits for a promise, at most so long. Whether it was resolved by then, and before it is closed; rejects as it does. */
  async within(promise: Promise<unknown>, ms: number): Promise<boolean> {
    const { over, end } = this.#begin(Math.max(0, ms));
    try {
      return await Promise.race([promise.then(() => true), over.then(() => false)]);
    } finally {
      end();
    }
  }

  #begin(ms: number): { readonly over: Promise<void>; readonly end: () => void } {
    if (this.#isClosed) return { over: Promise.resolve(), end: () => {} };
    let end = (): void => {};
    const over = new Promise<void>((resolve) => {
      end = () => {
        this.#waiting.get(end)?.clear();
        this.#waiting.delete(end);
        resolve();
      };
      this.#waiting.set(end, this.#clock.setTimeout(end, ms));
    });
    return { over, end };
  }

  close(): void {
    this.#isClosed = true;
    for (const end of [...this.#waiting.keys()]) end();
  }
}
