import { describe, expect, it } from '@jest/globals';
import { InjectionCounts } from './injection-counts.ts';
import { replayCommand, simulate } from './simulation.ts';

const RUNS = 2_000;

describe('The simulation', () => {
  it('finds no run in which a rule is broken, and makes every kind of trouble', async () => {
    const injected = new InjectionCounts();
    const failures: string[] = [];
    for (let seed = 1; seed <= RUNS; seed++) {
      const run = await simulate(seed);
      injected.add(run.injected);
      for (const { invariant, what } of run.broken) failures.push(`${invariant}: ${what} (${replayCommand(seed)})`);
    }
    expect(failures).toEqual([]);
    expect(injected.missing()).toEqual([]);
  }, 180_000);

  it('does the same for the same seed', async () => {
    for (const seed of [1, 2, 3, 4, 5]) expect((await simulate(seed)).history).toEqual((await simulate(seed)).history);
  });
});
