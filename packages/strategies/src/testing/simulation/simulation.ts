import { TimeSlice } from '../../../../core/src/time-slice.ts';
import type { InjectionCounts } from './injection-counts.ts';
import type { Violation } from './invariants.ts';
import { patchMethod } from './patch-method.ts';
import { SimulatedWorld, type Tampering } from './simulated-world.ts';
import { planOf } from './simulation-plan.ts';

/** How one run went. */
export interface SimulatedRun {
  readonly seed: number;
  readonly broken: readonly Violation[];
  readonly injected: InjectionCounts;
  /** What happened, line by line: the same for the same seed. */
  readonly history: readonly string[];
}

/** Runs what a seed stands for. */
export async function simulate(seed: number, tampering?: Tampering): Promise<SimulatedRun> {
  // A worker yields to the event loop when the real time says so: the only thing in it that is not the same each time.
  const restore = patchMethod(TimeSlice.prototype, 'isUsedUp', () => () => false);
  // Errors are part of the weather, and their stacks cost a good part of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const world = new SimulatedWorld(planOf(seed), tampering);
    await world.run();
    return { seed, broken: world.oracle.broken, injected: world.injected, history: world.oracle.history };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    restore();
  }
}
