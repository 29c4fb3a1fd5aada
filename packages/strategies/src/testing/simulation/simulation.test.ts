import { describe, expect, it } from '@jest/globals';
import { simulate } from './simulation.ts';
import { simulateAll } from './simulation-report.ts';

const RUNS = 2_000;

describe('The simulation', () => {
  it('finds no run in which a rule is broken, and makes every kind of trouble', async () => {
    const report = await simulateAll(1, RUNS);
    expect(report.failures()).toEqual([]);
    expect(report.result.runs).toBe(RUNS);
  }, 300_000);

  it('does the same for the same seed', async () => {
    for (const seed of [1, 2, 3, 4, 5]) expect((await simulate(seed)).history).toEqual((await simulate(seed)).history);
  });
});
