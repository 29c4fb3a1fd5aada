import type { RecordsVerdict } from '../faults/run-faults.ts';

/** What a reader has found of records that are numbered by key, each of which belongs either among the outputs or among the dead letters. */
export interface OutputVerdict extends RecordsVerdict {
  /** An output of a record that has to be a dead letter, or the other way round. */
  readonly misplaced: number;
}

/** Counts what is read, of `keys` keys which take turns. */
export class OutputTally {
  readonly #keys: number;
  readonly #isDeadLetter: (record: number) => boolean;
  readonly #seen = new Set<number>();
  /** By key, of either topic. */
  readonly #highest = { outputs: new Map<number, number>(), 'dead-letters': new Map<number, number>() };
  #repeated = 0;
  #orderViolations = 0;
  #misplaced = 0;

  /** Records count over all keys, from 0 on: record n has key n modulo `keys`. */
  constructor(keys: number, isDeadLetter: (record: number) => boolean) {
    this.#keys = keys;
    this.#isDeadLetter = isDeadLetter;
  }

  /** How many different records have been read. */
  get distinct(): number {
    return this.#seen.size;
  }

  /** In the order in which they are read. A repeated one is nothing but that, wherever it stands. */
  add(where: 'outputs' | 'dead-letters', record: number): void {
    if (this.#seen.has(record)) {
      this.#repeated++;
      return;
    }
    this.#seen.add(record);
    if (this.#isDeadLetter(record) !== (where === 'dead-letters')) this.#misplaced++;
    const highest = this.#highest[where];
    const key = record % this.#keys;
    if (record < (highest.get(key) ?? -1)) this.#orderViolations++;
    else highest.set(key, record);
  }

  /** Of so many records that there were. */
  verdict(records: number): OutputVerdict {
    return {
      ...{ records, lost: records - this.#seen.size, repeated: this.#repeated },
      ...{ orderViolations: this.#orderViolations, misplaced: this.#misplaced },
    };
  }
}
