import type { BenchResult } from '../bench.ts';

/** What a part of the benchmark is run with. */
interface PartSetting {
  readonly say: (line: string) => void;
  readonly isQuick: boolean;
}

/** One of the questions about what telemetry costs; its rows name their table. */
export type Part = (setting: PartSetting) => Promise<BenchResult>;
