import { simulate } from '../simulation.ts';
import { planOf } from '../simulation-plan.ts';
import type { Mutation } from './mutation.ts';

/** A mutation that survives so many runs has not been noticed. */
const MAX_HUNTED_RUNS = 500;

/** How a mutation was noticed. */
export interface Hunt {
  readonly mutation: string;
  /** The seed of the first run that breaks the rule; undefined when none did. */
  readonly caughtBy: number | undefined;
}

/** Runs the simulation over a worker with a mutation, until the rule that it breaks is seen to be broken. */
export async function hunt(mutation: Mutation): Promise<Hunt> {
  const restore = mutation.install?.();
  try {
    for (let seed = 1, runs = 0; runs < MAX_HUNTED_RUNS; seed++) {
      if (planOf(seed).isExactlyOnce !== (mutation.isOfTransactions === true)) continue;
      runs++;
      const { broken } = await simulate(seed, mutation.tampering);
      if (broken.some(({ invariant }) => invariant === mutation.breaks))
        return { mutation: mutation.name, caughtBy: seed };
    }
    return { mutation: mutation.name, caughtBy: undefined };
  } finally {
    restore?.();
  }
}
