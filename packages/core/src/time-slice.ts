/** Timers, sockets and polls get their turn at least this often. */
const SLICE_MS = 10;
/** Asking the time costs as much as a short handler, so it is not asked each time while handlers are short. So many may be long before it is noticed. */
const STRIDE = 4;

/** Keeps a run of handlers that never really wait from holding the event loop. */
export class TimeSlice {
  readonly #resume: () => void;
  #startedAt = 0;
  #lastAskedAt = 0;
  #untilAsked = 0;
  #isYielding = false;

  /** @param resume called from the event loop after a slice was used up */
  constructor(resume: () => void) {
    this.#resume = resume;
  }

  /** Whether to wait for `resume`. */
  isUsedUp(): boolean {
    if (this.#isYielding) return true;
    if (--this.#untilAsked > 0) return false;
    const now = performance.now();
    const strideMs = now - this.#lastAskedAt;
    this.#lastAskedAt = now;
    this.#untilAsked = strideMs < 1 ? STRIDE : 1;
    if (now - this.#startedAt < SLICE_MS) return false;
    this.#isYielding = true;
    setImmediate(() => {
      this.#isYielding = false;
      this.#startedAt = performance.now();
      this.#resume();
    });
    return true;
  }
}
