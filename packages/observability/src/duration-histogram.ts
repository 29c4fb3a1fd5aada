/** Counts durations by their upper bounds. Costs a few comparisons: what is made of it is made when somebody looks. */
export class DurationHistogram {
  readonly bounds: readonly number[];
  readonly #counts: Float64Array;
  sum = 0;
  count = 0;

  /** @param bounds in seconds, ascending */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  addMs(ms: number): void {
    const seconds = ms / 1_000;
    let i = 0;
    while (i < this.bounds.length && seconds > (this.bounds[i] ?? 0)) i++;
    this.#counts[i] = (this.#counts[i] ?? 0) + 1;
    this.sum += seconds;
    this.count++;
  }

  /** How many were at most as long as each bound. */
  *cumulative(): Generator<readonly [bound: number, count: number]> {
    let count = 0;
    for (const [i, bound] of this.bounds.entries()) {
      count += this.#counts[i] ?? 0;
      yield [bound, count];
    }
  }
}
