// npm run bench -- NAME [--json] [--quick]: runs one benchmark. The last line of --json is its result; --quick only shows that it works.

import { readCommandLine, reportFailure, UsageError } from '../scripts/command-line.ts';
import { machine } from '../scripts/machine.ts';
import type { Bench, BenchResult } from './bench.ts';
import { engineBench } from './engine.ts';
import { exactlyOnceBench } from './exactly-once.ts';
import { keysBench } from './keys.ts';
import { ledgerBench } from './ledger.ts';
import { observabilityBench } from './observability.ts';
import { pauseBench } from './pause.ts';
import { strategiesBench } from './strategies.ts';
import { threadsBench } from './threads.ts';
import { throughputBench } from './throughput.ts';

const benches: readonly Bench[] = [
  engineBench,
  ledgerBench,
  keysBench,
  throughputBench,
  pauseBench,
  strategiesBench,
  threadsBench,
  exactlyOnceBench,
  observabilityBench,
];

const usage = 'npm run bench -- NAME [--json] [--quick]';
const options = { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } } as const;

try {
  const { values, positionals } = readCommandLine({ usage, options, positionals: true }, process.argv.slice(2));
  const bench = benches.find(({ name }) => positionals.length === 1 && name === positionals[0]);
  if (bench === undefined) {
    const list = benches.map(({ name, question }) => `  ${name.padEnd(12)} ${question}`);
    throw new UsageError([`usage: ${usage}, where NAME is one of`, ...list].join('\n'));
  }
  console.log(bench.question);
  report(bench, await bench.run((line) => console.log(line), values.quick), values.json);
} catch (error) {
  reportFailure(error);
}

function report({ name }: Bench, { rows, ratios }: BenchResult, json: boolean): void {
  if (json) {
    console.log(JSON.stringify({ bench: name, rows, ratios, machine: machine() }));
    return;
  }
  for (const table of new Set(rows.map((row) => row.table))) {
    if (table !== undefined) console.log(table);
    console.table(rows.filter((row) => row.table === table).map(({ table: _, ...figures }) => figures));
  }
  console.log('ratios', ratios);
  console.log(machine());
}
