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
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waiting.delete(end);
        resolve();
      };
      this.#waiting.set(end, this.#clock.setTimeout(end, ms));
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const [end, timer] of this.#waiting) {
      timer.clear();
      end();
    }
  }
}
