import type { WorkerState } from './lifecycle.ts';
import type { StopOptions } from './stop-options.ts';
import type { WorkerHealth, WorkerSummary } from './worker-status.ts';

/** What starts, ends and has a health: a `Worker`, whatever its types, or a `WorkerGroup`. */
export interface Runnable {
  readonly name: string;
  readonly state: WorkerState;
  readonly finished: Promise<WorkerSummary | readonly WorkerSummary[]>;
  start(options?: { readonly signal?: AbortSignal }): Promise<void>;
  stop(options?: StopOptions): Promise<WorkerSummary | readonly WorkerSummary[]>;
  health(): WorkerHealth;
}

/** One or several, as a list. */
export function summariesOf(ended: WorkerSummary | readonly WorkerSummary[]): readonly WorkerSummary[] {
  return Array.isArray(ended) ? (ended as readonly WorkerSummary[]) : [ended as WorkerSummary];
}
