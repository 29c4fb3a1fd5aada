import { type Clock, RetriableError, type Timer } from '@kafka-worker/core';

/** A time by which something has to be done, from when it is begun. */
export class Deadline {
  /** Rejects when it has passed; never settles before. */
  readonly passed: Promise<never>;
  /** What it rejects with then. */
  error: Error | undefined;
  readonly #clock: Clock;
  #reject: (error: Error) => void = () => {};
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.passed = new Promise<never>((_resolve, reject) => {
      this.#reject = reject;
    });
    this.passed.catch(() => {});
  }

  begin(timeoutMs: number): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.error = new RetriableError(`the database did not answer within ${timeoutMs} ms`);
      this.#reject(this.error);
    }, timeoutMs);
  }

  clear(): void {
    this.#timer?.clear();
  }
}
