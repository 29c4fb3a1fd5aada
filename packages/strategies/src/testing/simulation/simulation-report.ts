import { InjectionCounts } from './injection-counts.ts';
import type { Violation } from './invariants.ts';
import { type SimulatedRun, simulate } from './simulation.ts';

/** So many runs make every kind of trouble, unless something is wrong with the weather. */
const ENOUGH_RUNS = 200;

/** How several runs went, as plain data. */
export interface SimulationResult {
  readonly runs: number;
  /** Those in which something was broken. */
  readonly broken: readonly { readonly seed: number; readonly violations: readonly Violation[] }[];
  readonly injected: Readonly<Record<string, number>>;
}

/** What a number of runs have found. */
export class SimulationReport {
  #runs = 0;
  readonly #broken: SimulationResult['broken'][number][] = [];
  readonly #injected = new InjectionCounts();

  add({ runs, broken, injected }: SimulationResult): void {
    this.#runs += runs;
    this.#broken.push(...broken);
    this.#injected.add(injected);
  }

  get result(): SimulationResult {
    return { runs: this.#runs, broken: this.#broken, injected: this.#injected.toJSON() };
  }

  /** What is wrong, one line each, with the command that shows it again. */
  failures(): string[] {
    const lines = this.#broken.flatMap(({ seed, violations }) =>
      violations
        .slice(0, 3)
        .map(({ invariant, what, atMs }) => `${invariant}: ${what}, after ${atMs} ms. ${replay(seed)}`),
    );
    if (this.#runs >= ENOUGH_RUNS) for (const kind of this.#injected.missing()) lines.push(`${kind} never happened`);
    return lines;
  }
}

/** One run, as it is added to a report. */
export function resultOf({ seed, broken, injected }: SimulatedRun): SimulationResult {
  return { runs: 1, broken: broken.length === 0 ? [] : [{ seed, violations: broken }], injected: injected.toJSON() };
}

/** Runs of consecutive seeds. */
export async function simulateAll(firstSeed: number, runs: number): Promise<SimulationReport> {
  const report = new SimulationReport();
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) report.add(resultOf(await simulate(seed)));
  return report;
}

function replay(seed: number): string {
  return `Again: npm run simulate -- --runs 1 --seed ${seed}`;
}
