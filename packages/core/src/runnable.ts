import type { WorkerState } from './lifecycle.ts';
import type { StopOptions } from './stop-options.ts';
import type { WorkerHealth, WorkerStatus, WorkerSummary } from './worker-status.ts';

/** A worker's status, with its name. */
type NamedStatus = WorkerStatus & { readonly name: string };

/** What starts, ends and has a health: a `Worker`, whatever its types, or a `WorkerGroup`. */
export interface Runnable {
  readonly name: string;
  readonly state: WorkerState;
  readonly finished: Promise<WorkerSummary | readonly WorkerSummary[]>;
  start(options?: { readonly signal?: AbortSignal }): Promise<void>;
  stop(options?: StopOptions): Promise<WorkerSummary | readonly WorkerSummary[]>;
  health(): WorkerHealth;
  status(): WorkerStatus | readonly NamedStatus[];
}

/** One or several, as a list. */
export function summariesOf(ended: WorkerSummary | readonly WorkerSummary[]): readonly WorkerSummary[] {
  return Array.isArray(ended) ? (ended as readonly WorkerSummary[]) : [ended as WorkerSummary];
}

/** Of each of its workers. */
export function statusesOf(target: Runnable): readonly NamedStatus[] {
  const status = target.status();
  if (Array.isArray(status)) return status as readonly NamedStatus[];
  return [{ name: target.name, ...(status as WorkerStatus) }];
}
