// One of the processes of scripts/simulate.ts: runs the seeds that it is told, and answers with what it found.

import { simulateAll } from '../packages/strategies/src/testing/simulation/simulation-report.ts';

/** What a process is told to run. */
export interface SimulatedSeeds {
  readonly firstSeed: number;
  readonly runs: number;
}

process.on('message', ({ firstSeed, runs }: SimulatedSeeds) => {
  void simulateAll(firstSeed, runs).then(({ result }) => process.send?.(result));
});
