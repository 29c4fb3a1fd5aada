/**
 * Reading holds the event loop, some 10 us per record. While handlers wait for something, they shall not wait for hundreds of records to be read
 * before they go on.
 */
const BUSY_POLL_RECORDS = 50;

/** No handler that waits for anything comes near to it, and reading does not either. */
const QUICK_RECORDS_PER_MS = 150;

/** How many records a poll may bring while handlers run. Pure. */
export class PollSize {
  #polledAt: number;
  #handled = 0;
  /** Handlers return at once: more of them end between two polls than could if they waited for anything. */
  #isQuick = false;

  constructor(now: number) {
    this.#polledAt = now;
  }

  /** When the last poll came back. */
  get polledAt(): number {
    return this.#polledAt;
  }

  /** A poll has come back; so many records were handled in all. */
  polled(now: number, handled: number): void {
    this.#isQuick = handled - this.#handled > QUICK_RECORDS_PER_MS * (now - this.#polledAt);
    this.#handled = handled;
    this.#polledAt = now;
  }

  most(runningCalls: number): number {
    return runningCalls > 0 && !this.#isQuick ? BUSY_POLL_RECORDS : Number.POSITIVE_INFINITY;
  }
}
