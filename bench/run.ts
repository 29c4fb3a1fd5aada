// npm run bench -- NAME [--json]: runs one benchmark. The last line of --json is its result.

import { parseArgs } from 'node:util';
import { machine } from '../scripts/machine.ts';
import type { Bench, BenchResult } from './bench.ts';
import { engineBench } from './engine.ts';
import { ledgerBench } from './ledger.ts';
import { throughputBench } from './throughput.ts';

const benches: readonly Bench[] = [engineBench, ledgerBench, throughputBench];

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const bench = benches.find(({ name }) => name === positionals[0]);
if (bench === undefined) {
  console.error('usage: npm run bench -- NAME [--json], where NAME is one of');
  for (const { name, question } of benches) console.error(`  ${name.padEnd(12)} ${question}`);
  process.exitCode = 1;
} else {
  console.log(bench.question);
  report(bench, await bench.run((line) => console.log(line)));
}

function report({ name }: Bench, { rows, ratios }: BenchResult): void {
  if (values.json) {
    console.log(JSON.stringify({ bench: name, rows, ratios, machine: machine() }));
    return;
  }
  console.table(rows);
  console.log('ratios', ratios);
  console.log(machine());
}
