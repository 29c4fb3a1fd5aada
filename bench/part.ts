import type { BenchResult, BenchRow } from './bench.ts';

/** What a part is run with that needs nothing else. */
export interface PartSetting {
  readonly say: (line: string) => void;
  readonly isQuick: boolean;
}

/** What a part is run with that reads from a broker. */
export interface BrokerSetting extends PartSetting {
  readonly brokers: string;
}

/** One of the questions of a benchmark; its rows name their table. */
export type Part<Setting = BrokerSetting> = (setting: Setting) => Promise<BenchResult>;

/** One after the other. */
export async function runParts<Setting>(parts: readonly Part<Setting>[], setting: Setting): Promise<BenchResult> {
  const rows: BenchRow[] = [];
  const ratios: Record<string, number> = {};
  for (const part of parts) {
    const result = await part(setting);
    rows.push(...result.rows);
    Object.assign(ratios, result.ratios);
  }
  return { rows, ratios };
}
