import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Sample } from './worker-measures.ts';

const RESOLUTION_MS = 20;

/** How late the event loop of the process is. */
export class EventLoopDelay {
  #histogram: IntervalHistogram | undefined;

  enable(): void {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
  }

  disable(): void {
    this.#histogram?.disable();
    this.#histogram = undefined;
  }

  /** Since the last time; nothing when nothing was measured yet. */
  *samples(): Generator<Sample> {
    const histogram = this.#histogram;
    if (histogram === undefined || histogram.count === 0) return;
    const values = { mean: histogram.mean, p99: histogram.percentile(99), max: histogram.max };
    for (const [stat, ns] of Object.entries(values))
      yield { metric: 'eventLoopDelay', labels: { stat }, value: Math.max(0, ns / 1e9 - RESOLUTION_MS / 1_000) };
    histogram.reset();
  }
}
