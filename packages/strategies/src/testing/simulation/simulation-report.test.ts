import { describe, expect, it } from '@jest/globals';
import { SimulationReport } from './simulation-report.ts';
import { injectionKinds } from './weather-mix.ts';

const once = Object.fromEntries(injectionKinds.map((kind) => [kind, 1]));

describe('What the simulation reports', () => {
  it('names the rule that a run has broken, and the command that replays it', () => {
    const report = new SimulationReport();
    const violations = [{ invariant: 'no-loss' as const, what: 't/0 offset 7 was never handled', atMs: 1_234 }];
    report.add({ runs: 1, broken: [{ seed: 4711, violations }], injected: once });
    expect(report.failures()).toEqual([
      'no-loss: t/0 offset 7 was never handled, after 1234 ms. Again: npm run simulate -- --runs 1 --seed 4711',
    ]);
  });

  it('takes a kind of trouble that never happened for a failure, once there were enough runs', () => {
    const { crash: _, ...others } = once;
    const report = new SimulationReport();
    report.add({ runs: 100, broken: [], injected: others });
    expect(report.failures()).toEqual([]);
    report.add({ runs: 100, broken: [], injected: others });
    expect(report.failures()).toEqual(['crash never happened']);
  });
});
