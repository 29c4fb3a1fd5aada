/** Where a record is; there is one topic. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** A record that was produced. */
export interface SentRecord extends Place {
  readonly key: string | null;
}

/** A place for messages, and as the key of a map. */
export function nameOf({ partition, offset }: Place): string {
  return `${partition}@${offset}`;
}

/** Everything that was produced in a run, and what of it was ever finished. */
export class SentRecords {
  readonly #byPartition = new Map<number, SentRecord[]>();
  readonly #byName = new Map<string, SentRecord>();
  readonly #finished = new Set<string>();

  add(record: SentRecord): void {
    const { partition } = record;
    const records = this.#byPartition.get(partition) ?? [];
    records.push(record);
    this.#byPartition.set(partition, records);
    this.#byName.set(nameOf(record), record);
  }

  /** @throws Error for a record that was never produced */
  get(place: Place): SentRecord {
    const record = this.#byName.get(nameOf(place));
    if (record === undefined) throw new Error(`${nameOf(place)} was never produced`);
    return record;
  }

  /** A partition's records from one offset up to another, in their order. */
  between(partition: number, from: number, to: number): SentRecord[] {
    return this.of(partition).filter(({ offset }) => offset >= from && offset < to);
  }

  /** A partition's records, in their order. */
  of(partition: number): readonly SentRecord[] {
    return this.#byPartition.get(partition) ?? [];
  }

  partitions(): Iterable<number> {
    return this.#byPartition.keys();
  }

  /** Somebody has handled it, or passed it over as the policy says. */
  finish(place: Place): void {
    this.#finished.add(nameOf(place));
  }

  isFinished(place: Place): boolean {
    return this.#finished.has(nameOf(place));
  }
}
