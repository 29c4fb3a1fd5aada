import { isKafkaWorkerError } from '@kafka-worker/core';
import type { VirtualClock } from '@kafka-worker/core/testing';
import type { Oracle } from './oracle.ts';
import type { SimulatedProcess } from './simulated-process.ts';

/** What a stop may take beside its own time: its steps' bounds, one after another. */
const STOP_STEPS_MS = 60_000;
/** Of a worker that ends by itself. */
const DEFAULT_STOP_MS = 25_000;
/** No stop takes longer. */
export const LONGEST_STOP_MS: number = STOP_STEPS_MS + 2 * DEFAULT_STOP_MS;
/** What may end a worker in bad weather, beside what another attempt could mend. */
const EXPECTED_ERRORS = ['HANDLER', 'STUCK_HANDLER', 'SHUTDOWN_TIMEOUT', 'COMMIT', 'ASSIGNMENT_HOOK'];

/** What watching a worker needs. */
export interface WatchParts {
  readonly oracle: Oracle;
  readonly clock: VirtualClock;
  /** The time that its stop was given; undefined when it ends by itself. */
  readonly stopTimeoutMs: () => number | undefined;
  /** Something of it is frozen. */
  readonly frozen: () => void;
  /** It has ended, well or not. */
  readonly ended: (hasFailed: boolean) => void;
}

/** Tells the oracle what a worker says of itself: what it passes over, who is stuck, and how it ends. */
export function watchWorker(
  process: SimulatedProcess,
  { oracle, clock, stopTimeoutMs, frozen, ended }: WatchParts,
): void {
  const { worker, name } = process;
  worker.on('stuck', (place) => oracle.stuck(name, place));
  worker.on('commit-failed', ({ offsets }) => oracle.ownership.commitFailed(name, offsets));
  worker.on('settled', ({ record, outcome }) => {
    if (outcome !== 'handled' && !process.isDead) oracle.passedOver(name, record, outcome === 'dead-lettered');
  });
  worker.on('frozen', ({ scope, partition }) => {
    if (scope === 'partition') oracle.ownership.frozen(name, partition, true);
    frozen();
  });
  worker.on('unfrozen', ({ scope, partition }) => {
    if (scope === 'partition') oracle.ownership.frozen(name, partition, false);
  });
  worker.on('state', ({ to }) => {
    oracle.note(`${name} is ${to}`);
    if (to !== 'draining') return;
    const timeoutMs = stopTimeoutMs() ?? DEFAULT_STOP_MS;
    oracle.ownership.stopping(name, timeoutMs / 2);
    const boundMs = STOP_STEPS_MS + 2 * timeoutMs;
    const late = clock.setTimeout(() => {
      if (!process.isDead) oracle.report('stop-ends', `${name} has not stopped within ${boundMs} ms`);
    }, boundMs);
    const inTime = (): void => late.clear();
    worker.finished.then(inTime, inTime);
  });
  worker.finished.then(
    () => ended(false),
    (error: unknown) => {
      const isExpected = isKafkaWorkerError(error) && (error.retriable || EXPECTED_ERRORS.includes(error.code));
      if (!isExpected && !process.isDead) oracle.report('no-defect', `${name} ended with ${String(error)}`);
      ended(true);
    },
  );
}
