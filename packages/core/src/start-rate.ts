/** How far starts may lag behind their even spread and still catch up: timers are late by about a millisecond. */
const CATCH_UP_MS = 20;
/** Starts that are remembered; above so many a second, they are bounded over a shorter time than a second. */
const MAX_REMEMBERED = 100_000;

/** So many starts in any second, and evenly spread. Pure. */
export class StartRate {
  readonly #intervalMs: number;
  readonly #windowMs: number;
  /** The times of the last starts, as many as fit into the window. */
  readonly #starts: Float64Array;
  #next = 0;
  #evenAt = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.#intervalMs = 1_000 / perSecond;
    const remembered = Math.min(MAX_REMEMBERED, Math.ceil(perSecond));
    this.#windowMs = Math.min(1_000, (remembered * 1_000) / perSecond);
    this.#starts = new Float64Array(remembered).fill(Number.NEGATIVE_INFINITY);
  }

  /** When the next start may be. */
  get dueAt(): number {
    return Math.max(this.#evenAt, (this.#starts[this.#next] as number) + this.#windowMs);
  }

  started(now: number): void {
    this.#starts[this.#next] = now;
    this.#next = (this.#next + 1) % this.#starts.length;
    const isFirst = this.#evenAt === Number.NEGATIVE_INFINITY;
    this.#evenAt = (isFirst ? now : Math.max(this.#evenAt, now - CATCH_UP_MS)) + this.#intervalMs;
  }
}
