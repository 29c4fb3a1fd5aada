// npm run simulate -- [--runs N] [--seed N] [--json]: workers in bad weather, in memory and in virtual time, each run from its seed alone.
// The seeds are consecutive, from --seed on. One run tells what happens in it; more of them end with what was found, and whether rules that are
// broken on purpose are noticed.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { sourceProgram } from '../packages/core/src/testing/source-program.ts';
import { hunt } from '../packages/strategies/src/testing/simulation/mutations/mutation-hunt.ts';
import { mutations } from '../packages/strategies/src/testing/simulation/mutations/mutations.ts';
import { simulate } from '../packages/strategies/src/testing/simulation/simulation.ts';
import {
  resultOf,
  SimulationReport,
  type SimulationResult,
} from '../packages/strategies/src/testing/simulation/simulation-report.ts';
import { readCommandLine, reportFailure, UsageError } from './command-line.ts';
import type { SimulatedSeeds } from './simulation-process.ts';

const DEFAULT_RUNS = 10_000;
/** What a process is given at a time. */
const CHUNK_RUNS = 100;
const PROGRESS_MS = 15_000;

try {
  const { values } = readCommandLine(
    {
      usage: 'npm run simulate -- [--runs N] [--seed N] [--json]',
      options: { runs: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean' } },
    },
    process.argv.slice(2),
  );
  const runs = wholeNumber('runs', values.runs ?? String(DEFAULT_RUNS), 1);
  const seed = wholeNumber('seed', values.seed ?? '1', 0);
  if (runs === 1) await replay(seed, values.json === true);
  else await simulateMany(seed, runs, values.json === true);
} catch (error) {
  reportFailure(error);
}

/** One run, told line by line. */
async function replay(seed: number, isJson: boolean): Promise<void> {
  const report = new SimulationReport();
  const run = await simulate(seed);
  report.add(resultOf(run));
  for (const line of run.history) console.log(line);
  finish(report, isJson);
}

async function simulateMany(firstSeed: number, runs: number, isJson: boolean): Promise<void> {
  const startedAt = performance.now();
  const report = await simulateInProcesses(firstSeed, runs);
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`${runs} runs in ${seconds.toFixed(1)} s, ${Math.round(runs / seconds)} per second`);
  const caught: string[] = [];
  const survivors: string[] = [];
  for (const mutation of mutations) {
    const { caughtBy } = await hunt(mutation);
    if (caughtBy === undefined) survivors.push(`not noticed: a worker that ${mutation.name}`);
    else caught.push(`noticed in run ${caughtBy}: a worker that ${mutation.name} (${mutation.breaks})`);
  }
  for (const line of caught) console.log(line);
  finish(report, isJson, { total: mutations.length, caught: caught.length }, survivors);
}

function finish(
  report: SimulationReport,
  isJson: boolean,
  mutated?: { readonly total: number; readonly caught: number },
  survivors: readonly string[] = [],
): void {
  const { runs, broken, injected } = report.result;
  const failures = [...report.failures(), ...survivors];
  for (const failure of failures) console.log(failure);
  const injections = Object.entries(injected).map(([kind, count]) => `${count} × ${kind}`);
  console.log(`${runs} runs, ${broken.length} with violations; ${injections.join(', ')}`);
  if (mutated !== undefined) console.log(`${mutated.caught} of ${mutated.total} mutations noticed`);
  if (isJson) console.log(JSON.stringify({ runs, violations: broken.length, injected, mutations: mutated }));
  if (failures.length > 0) process.exitCode = 1;
}

/** Divides the seeds among as many processes as there are cores. */
async function simulateInProcesses(firstSeed: number, runs: number): Promise<SimulationReport> {
  const report = new SimulationReport();
  const end = firstSeed + runs;
  let next = firstSeed;
  const node = sourceProgram(fileURLToPath(new URL('./simulation-process.ts', import.meta.url)));
  const [program, execArgv] = [node.at(-1) ?? '', node.slice(0, -1)];
  const progress = setInterval(() => console.error(`${report.result.runs} of ${runs} runs …`), PROGRESS_MS);
  const count = Math.min(availableParallelism(), Math.ceil(runs / CHUNK_RUNS));
  const all = Array.from({ length: count }, async () => {
    const child = fork(program, { execArgv });
    try {
      while (next < end) {
        const seeds: SimulatedSeeds = { firstSeed: next, runs: Math.min(CHUNK_RUNS, end - next) };
        next += seeds.runs;
        const result = await answerOf(child, seeds);
        // At once, for whoever does not wait for the end.
        for (const { seed, violations } of result.broken) console.error(`seed ${seed}: ${violations[0]?.what ?? ''}`);
        report.add(result);
      }
    } finally {
      child.disconnect();
    }
  });
  try {
    await Promise.all(all);
  } finally {
    clearInterval(progress);
  }
  return report;
}

async function answerOf(child: ChildProcess, seeds: SimulatedSeeds): Promise<SimulationResult> {
  const settled = new AbortController();
  const { signal } = settled;
  try {
    child.send(seeds);
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(
        `the process of seeds ${seeds.firstSeed} to ${seeds.firstSeed + seeds.runs - 1} ended with ${String(code)}`,
      );
    });
    const [result] = (await Promise.race([once(child, 'message', { signal }), ended])) as [SimulationResult];
    return result;
  } finally {
    settled.abort();
  }
}

function wholeNumber(name: string, given: string, least: number): number {
  const value = Number(given);
  if (given.trim() === '' || !Number.isSafeInteger(value) || value < least)
    throw new UsageError(`--${name} has to be a whole number from ${least} up, not ${JSON.stringify(given)}`);
  return value;
}
