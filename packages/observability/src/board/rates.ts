/** What a plot shows: one figure per second of the last minutes. */
export const RATE_SECONDS = 300;

/** How often something happened, per second, in each of the last seconds: a ring, so that its memory is the same after a second and after a year. */
class RateRing {
  readonly #rates = new Float64Array(RATE_SECONDS);
  #next = 0;
  #filled = 0;
  /** Since the last tick. */
  count = 0;

  tick(elapsedMs: number): void {
    const rate = Math.round((this.count * 10_000) / elapsedMs) / 10;
    this.count = 0;
    // A tick that comes late stands for the seconds that were left out.
    const seconds = Math.min(RATE_SECONDS, Math.max(1, Math.round(elapsedMs / 1_000)));
    for (let i = 0; i < seconds; i++) {
      this.#rates[this.#next] = rate;
      this.#next = (this.#next + 1) % RATE_SECONDS;
    }
    this.#filled = Math.min(RATE_SECONDS, this.#filled + seconds);
  }

  /** The oldest first. */
  values(): number[] {
    const first = (this.#next - this.#filled + RATE_SECONDS) % RATE_SECONDS;
    return Array.from({ length: this.#filled }, (_, i) => this.#rates[(first + i) % RATE_SECONDS] ?? 0);
  }
}

/** The series that are plotted. Counting costs an addition. */
export class Rates {
  readonly handled: RateRing = new RateRing();
  /** Handler calls that failed. */
  readonly failed: RateRing = new RateRing();
  /** Those of them that are tried again. */
  readonly retried: RateRing = new RateRing();
  #tickedAt: number;

  constructor(now: number) {
    this.#tickedAt = now;
  }

  /** To be called about once a second. */
  tick(now: number): void {
    const elapsedMs = now - this.#tickedAt;
    if (elapsedMs <= 0) return;
    this.#tickedAt = now;
    for (const ring of [this.handled, this.failed, this.retried]) ring.tick(elapsedMs);
  }

  values(): { readonly handled: number[]; readonly failed: number[]; readonly retried: number[] } {
    return { handled: this.handled.values(), failed: this.failed.values(), retried: this.retried.values() };
  }
}
