import type { Bench, BenchRow } from './bench.ts';
import { headOfLine } from './strategies/head-of-line.ts';
import { noOp } from './strategies/no-op.ts';
import { onePartition } from './strategies/one-partition.ts';
import type { Part } from './strategies/part.ts';
import { waits } from './strategies/waits.ts';
import { withBroker } from './with-broker.ts';

const parts: readonly Part[] = [noOp, waits, onePartition, headOfLine];

export const strategiesBench: Bench = {
  name: 'strategies',
  question: 'What do the strategies cost, and how near do they come to their ideal? From a real broker.',
  run: (say, isQuick) =>
    withBroker(say, async (brokers) => {
      const rows: BenchRow[] = [];
      const ratios: Record<string, number> = {};
      for (const part of parts) {
        const result = await part({ brokers, say, isQuick });
        rows.push(...result.rows);
        Object.assign(ratios, result.ratios);
      }
      return { rows, ratios };
    }),
};
