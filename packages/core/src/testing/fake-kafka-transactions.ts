import type { Clock, Timer } from '../clock.ts';
import { TransactionError } from '../errors.ts';
import type { FakeGroup } from './fake-kafka-group.ts';
import type { FakeTopics } from './fake-kafka-topics.ts';

/** A transaction that is open; its identity marks what it has written. */
interface OpenTransaction {
  readonly groups: Set<FakeGroup>;
  readonly timer: Timer;
}

/** What the broker knows of one transactional id. */
interface Entry {
  /** Who comes with a lower one is fenced off. */
  epoch: number;
  open: OpenTransaction | undefined;
}

const FENCED = 90;

/** The broker's side of transactions: who may write with an id, what is open, and how it ends. */
export class FakeTransactions {
  readonly #clock: Clock;
  readonly #topics: FakeTopics;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock, topics: FakeTopics) {
    this.#clock = clock;
    this.#topics = topics;
  }

  /** A producer takes an id over: what is open of it is aborted. Gives its epoch. */
  init(transactionalId: string): number {
    const entry = this.#entries.get(transactionalId) ?? { epoch: 0, open: undefined };
    this.#entries.set(transactionalId, entry);
    this.#end(entry, 'abort');
    return ++entry.epoch;
  }

  /** The transaction that a producer writes to: opened by the first write, and aborted when it is open for too long. */
  writing(transactionalId: string, epoch: number, timeoutMs: number): OpenTransaction {
    const entry = this.#entry(transactionalId, epoch);
    entry.open ??= {
      groups: new Set(),
      timer: this.#clock.setTimeout(() => {
        entry.epoch++;
        this.#end(entry, 'abort');
      }, timeoutMs),
    };
    return entry.open;
  }

  /** @throws TransactionError when somebody else has the id, or the time was up */
  end(transactionalId: string, epoch: number, how: 'commit' | 'abort'): void {
    this.#end(this.#entry(transactionalId, epoch), how);
  }

  #entry(transactionalId: string, epoch: number): Entry {
    const entry = this.#entries.get(transactionalId);
    if (entry?.epoch !== epoch)
      throw new TransactionError('fatal', `there is a newer producer with ${transactionalId}, or its time was up`, {
        kafkaCode: FENCED,
      });
    return entry;
  }

  #end(entry: Entry, how: 'commit' | 'abort'): void {
    const { open } = entry;
    if (open === undefined) return;
    entry.open = undefined;
    open.timer.clear();
    for (const group of open.groups) group.endTransaction(open, how);
    this.#topics.endTransaction(open, how);
  }
}
