import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Sample } from './worker-measures.ts';

const RESOLUTION_MS = 20;

/** How late the event loop of the process is. */
export class EventLoopDelay {
  #histogram: IntervalHistogram | undefined;
  #latest: Readonly<Record<string, number>> | undefined;

  enable(): void {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
  }

  disable(): void {
    this.#histogram?.disable();
    this.#histogram = undefined;
    this.#latest = undefined;
  }

  /**
   * Since the last time; nothing when nothing was measured yet. Who asks again before there is something new, as the
   * second of two scrapers does, has the same once more.
   */
  *samples(): Generator<Sample> {
    const histogram = this.#histogram;
    if (histogram !== undefined && histogram.count > 0) {
      this.#latest = { mean: histogram.mean, p99: histogram.percentile(99), max: histogram.max };
      histogram.reset();
    }
    for (const [stat, ns] of Object.entries(this.#latest ?? {}))
      yield { metric: 'eventLoopDelay', labels: { stat }, value: Math.max(0, ns / 1e9 - RESOLUTION_MS / 1_000) };
  }
}
