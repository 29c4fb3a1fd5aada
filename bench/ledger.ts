import { Ledger } from '../packages/core/src/ledger.ts';
import type { Bench, BenchRow } from './bench.ts';
import { median, rounded } from './statistics.ts';

const IN_FLIGHT = [1_000, 10_000, 100_000, 1_000_000];
const SETTLES = 1_000_000;
const ROUNDS = 7;

/** How far the next record to settle lies from the last one. A step that shares no factor with the counts takes every record once. */
const steps = { 'in order': 1, scattered: 611_953 } as const;

export const ledgerBench: Bench = {
  name: 'ledger',
  question: 'Does settling a record cost more when more are in flight?',
  run(say) {
    const cost = new Map<string, number[]>();
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [order, step] of Object.entries(steps)) {
        for (const count of IN_FLIGHT) {
          const name = `${order}, ${count} in flight`;
          const nanoseconds = measure(count, step);
          if (round > 0) cost.set(name, [...(cost.get(name) ?? []), nanoseconds]);
        }
      }
    }
    const rows: BenchRow[] = [...cost].map(([name, values]) => {
      const nanosecondsPerSettle = rounded(median(values), 1);
      say(`${name}: ${nanosecondsPerSettle} ns`);
      return { name, nanosecondsPerSettle, recordsPerSecond: Math.round(1e9 / nanosecondsPerSettle) };
    });
    const of = (order: string, count: number): number =>
      Number(rows.find((row) => row.name === `${order}, ${count} in flight`)?.nanosecondsPerSettle);
    const ratios = Object.fromEntries(
      Object.keys(steps).map((order) => [
        `${order}: 1,000,000 to 1,000 in flight`,
        rounded(of(order, 1_000_000) / of(order, 1_000)),
      ]),
    );
    return Promise.resolve({ rows, ratios });
  },
};

/** Nanoseconds per settle, with `count` records in flight when each run of settles begins. */
function measure(count: number, step: number): number {
  // Made before: finding the next offset would cost more than settling it, and not the same for every count.
  const order = Int32Array.from({ length: count }, (_, i) => (i * step) % count);
  let elapsed = 0;
  let base = 0;
  const ledger = new Ledger(0);
  for (let settled = 0; settled < SETTLES; settled += count) {
    for (let i = 0; i < count; i++) ledger.receive(base + i);
    const startedAt = process.hrtime.bigint();
    for (const offset of order) ledger.settle(base + offset);
    elapsed += Number(process.hrtime.bigint() - startedAt);
    base += count;
  }
  if (ledger.nextOffset !== base) throw new Error(`the frontier is ${ledger.nextOffset} instead of ${base}`);
  return elapsed / (Math.ceil(SETTLES / count) * count);
}
