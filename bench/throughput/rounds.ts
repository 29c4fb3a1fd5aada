import type { BenchRow } from '../bench.ts';
import { median, rounded } from '../statistics.ts';
import type { Reading, Strain } from './contestant.ts';

/** What a contestant reached, round by round: all contestants of a round read one after the other. */
export class Rounds {
  readonly #records: number;
  readonly #readings = new Map<string, Reading[]>();

  constructor(records: number) {
    this.#records = records;
  }

  add(name: string, reading: Reading): void {
    const readings = this.#readings.get(name) ?? [];
    this.#readings.set(name, [...readings, reading]);
  }

  row(table: string, name: string): BenchRow {
    const stalls = this.#figures(name, 'stallMs');
    const cpu = this.#figures(name, 'cpuSeconds');
    const peaks = this.#figures(name, 'peakMiB');
    return {
      ...{ table, name, recordsPerSecond: Math.round(median(this.#rates(name))) },
      // Its code is not optimised yet.
      firstRound: Math.round(this.#rates(name)[0] ?? Number.NaN),
      ...(stalls.length === 0 ? {} : { longestStallMs: rounded(Math.max(...stalls), 1) }),
      ...(cpu.length === 0 ? {} : { cpuSecondsPerMillion: rounded((median(cpu) / this.#records) * 1e6) }),
      ...(peaks.length === 0 ? {} : { peakMiB: Math.round(Math.max(...peaks)) }),
    };
  }

  /** The median of what one reached of the other in each round, in which whatever else the machine does weighs on both. */
  ratio(name: string, to: string): number {
    const base = this.#rates(to);
    return rounded(median(this.#rates(name).map((rate, round) => rate / (base[round] ?? Number.NaN))));
  }

  /** The most memory that one had in any round. */
  peakMiB(name: string): number {
    return Math.max(...this.#figures(name, 'peakMiB'));
  }

  #rates(name: string): number[] {
    return this.#of(name).map(({ seconds }) => this.#records / seconds);
  }

  #figures(name: string, figure: keyof Strain): number[] {
    return this.#of(name)
      .map((reading) => reading[figure])
      .filter((value) => value !== undefined);
  }

  #of(name: string): readonly Reading[] {
    const readings = this.#readings.get(name);
    if (readings === undefined) throw new Error(`${name} was not measured`);
    return readings;
  }
}
