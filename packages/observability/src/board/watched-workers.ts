import type { AnyWorker, WorkerGroup } from '@kafka-worker/core';
import type { Rates } from './rates.ts';
import type { RecentFailures } from './recent-failures.ts';

/** Counts what happens in a worker, or in each worker of a group, and gives each a number by which the page names it. */
export class WatchedWorkers {
  readonly #target: AnyWorker | WorkerGroup;
  readonly #rates: Rates;
  readonly #failures: RecentFailures;
  readonly #ids = new WeakMap<AnyWorker, number>();
  readonly #ends = new Map<AnyWorker, () => void>();
  #unwatchGroup: () => void = () => {};
  #lastId = 0;

  constructor(target: AnyWorker | WorkerGroup, rates: Rates, failures: RecentFailures) {
    this.#target = target;
    this.#rates = rates;
    this.#failures = failures;
  }

  /** Counts from now on. */
  begin(): void {
    const watch = (worker: AnyWorker): void => this.#watch(worker);
    if ('onWorker' in this.#target) this.#unwatchGroup = this.#target.onWorker(watch);
    else watch(this.#target);
  }

  idOf(worker: AnyWorker): number {
    let id = this.#ids.get(worker);
    if (id === undefined) {
      this.#lastId++;
      id = this.#lastId;
      this.#ids.set(worker, id);
    }
    return id;
  }

  /** Nothing more is counted. */
  end(): void {
    this.#unwatchGroup();
    for (const end of this.#ends.values()) end();
    this.#ends.clear();
  }

  #watch(worker: AnyWorker): void {
    const rates = this.#rates;
    const of = this.#failures.listeners(worker.name);
    const ends = [
      worker.on('settled', ({ outcome }) => {
        if (outcome === 'handled') rates.handled.count++;
      }),
      worker.on('failed', (failure) => {
        rates.failed.count++;
        if (failure.decision.do === 'retry') rates.retried.count++;
        of.failed(failure);
      }),
      worker.on('dead-letter-failed', of['dead-letter-failed']),
      worker.on('commit-failed', of['commit-failed']),
      worker.on('error', of.error),
      // Not by `finished`: listening to that would make an unwatched failure a watched one.
      worker.on('state', ({ to }) => {
        if (to === 'stopped' || to === 'failed') this.#ends.delete(worker);
      }),
    ];
    this.#ends.set(worker, () => {
      for (const end of ends) end();
    });
  }
}
