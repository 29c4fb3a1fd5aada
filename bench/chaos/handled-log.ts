import { type Call, type Epoch, epochsOf } from './epochs.ts';
import type { WorkerHistory } from './worker-fleet.ts';

/** All calls of all workers, by the record that they were for. */
export class HandledLog {
  readonly epochs: readonly Epoch[];
  /** By partition and offset; the calls of a record in the order in which they began. */
  readonly #calls = new Map<number, Call[][]>();

  constructor(workers: readonly WorkerHistory[]) {
    this.epochs = workers.flatMap((worker) => epochsOf(worker));
    for (const { partition, calls } of this.epochs) {
      const log = this.#calls.get(partition) ?? [];
      this.#calls.set(partition, log);
      for (const call of calls) {
        log[call.offset] ??= [];
        log[call.offset]?.push(call);
      }
    }
    for (const log of this.#calls.values()) for (const calls of log) calls?.sort((one, other) => one.at - other.at);
  }

  get partitions(): Iterable<number> {
    return this.#calls.keys();
  }

  /** How far any of its records was called. */
  lengthOf(partition: number): number {
    return this.#calls.get(partition)?.length ?? 0;
  }

  callsOf(partition: number, offset: number): readonly Call[] {
    return this.#calls.get(partition)?.[offset] ?? [];
  }

  /** When it was first finished. */
  finishedAt(partition: number, offset: number): number | undefined {
    const times = this.callsOf(partition, offset).flatMap(({ returnedAt }) => returnedAt ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }
}
