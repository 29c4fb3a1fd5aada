import type { BenchResult } from '../bench.ts';

/** What a part of the benchmark is run with. */
interface PartSetting {
  readonly brokers: string;
  readonly say: (line: string) => void;
  readonly isQuick: boolean;
}

/** One of the questions about strategies; its rows name their table. */
export type Part = (setting: PartSetting) => Promise<BenchResult>;
