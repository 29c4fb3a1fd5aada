/** One measured thing. Further figures of it stand beside the rate. */
export interface BenchRow {
  readonly name: string;
  /** Which table it stands in, where a benchmark has several. */
  readonly table?: string;
  readonly [figure: string]: string | number | undefined;
}

/** What a benchmark measured. */
export interface BenchResult {
  readonly rows: readonly BenchRow[];
  /** What is comparable between machines: rates divided by each other, measured in one run. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** A benchmark that `npm run bench -- NAME` runs. */
export interface Bench {
  readonly name: string;
  /** The question that it answers. */
  readonly question: string;
  /** @param isQuick a small version, to see that it works: its figures mean little */
  run(say: (line: string) => void, isQuick: boolean): Promise<BenchResult>;
}
