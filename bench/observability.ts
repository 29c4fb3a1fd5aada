import type { Bench, BenchRow } from './bench.ts';
import type { Part } from './observability/part.ts';
import { perRecord } from './observability/per-record.ts';
import { waitingHandler } from './observability/waiting-handler.ts';
import { whatIsMeasured } from './observability/what-is-measured.ts';

const parts: readonly Part[] = [perRecord, waitingHandler, whatIsMeasured];

export const observabilityBench: Bench = {
  name: 'observability',
  question: 'What do metrics, traces and logs cost, and what do they cost who has none? No broker.',
  async run(say, isQuick) {
    const rows: BenchRow[] = [];
    const ratios: Record<string, number> = {};
    for (const part of parts) {
      const result = await part({ say, isQuick });
      rows.push(...result.rows);
      Object.assign(ratios, result.ratios);
    }
    return { rows, ratios };
  },
};
