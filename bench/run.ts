// npm run bench -- NAME [--json] [--quick]: runs one benchmark. The last line of --json is its result; --quick only shows that it works.

import { parseArgs } from 'node:util';
import { machine } from '../scripts/machine.ts';
import type { Bench, BenchResult } from './bench.ts';
import { engineBench } from './engine.ts';
import { ledgerBench } from './ledger.ts';
import { strategiesBench } from './strategies.ts';
import { throughputBench } from './throughput.ts';

const benches: readonly Bench[] = [engineBench, ledgerBench, throughputBench, strategiesBench];

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const bench = benches.find(({ name }) => name === positionals[0]);
if (bench === undefined) {
  console.error('usage: npm run bench -- NAME [--json] [--quick], where NAME is one of');
  for (const { name, question } of benches) console.error(`  ${name.padEnd(12)} ${question}`);
  process.exitCode = 1;
} else {
  console.log(bench.question);
  report(bench, await bench.run((line) => console.log(line), values.quick));
}

function report({ name }: Bench, { rows, ratios }: BenchResult): void {
  if (values.json) {
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
