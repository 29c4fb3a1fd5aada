import { ProduceError, TransactionError } from '@kafka-worker/core';
import type { FakeCall, FakeOperation } from '@kafka-worker/core/testing';
import type { InjectionCounts } from './injection-counts.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { WeatherSurroundings } from './weather.ts';
import { type TransactionEventKind, transactionEvents } from './weather-mix.ts';

const MAX_EVENTS = 5;
/** At each step of a transaction. */
const CHANCE = 0.12;
const STEPS: readonly FakeOperation[] = ['send', 'send-offsets', 'commit-transaction', 'commit-transaction-answer'];
/** Concurrent transactions, the coordinator is not available, the group is rebalancing. */
const ABORTABLE_CODES = [51, 15, 27];
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Decides at which step of a transaction what happens to it, and does it. */
export class TransactionWeather {
  readonly #world: WeatherSurroundings;
  readonly #random: SeededRandom;
  readonly #injected: InjectionCounts;
  #eventsLeft: number;
  /** What is held, and is to be let go. */
  readonly #holds = new Set<() => void>();

  constructor(world: WeatherSurroundings, random: SeededRandom, injected: InjectionCounts) {
    this.#world = world;
    this.#random = random;
    this.#injected = injected;
    this.#eventsLeft = random.below(MAX_EVENTS);
  }

  /** A call waits for the cluster. */
  awaited({ operation, clientId }: FakeCall): void {
    if (this.#eventsLeft <= 0 || !STEPS.includes(operation) || !this.#random.chance(CHANCE)) return;
    const process = this.#world.alive.find(({ name }) => name === clientId);
    if (process === undefined) return;
    const kind = this.#random.weighted(transactionEvents);
    if (!this.#do(kind, process)) return;
    this.#eventsLeft--;
    this.#injected.count(kind);
    this.#world.oracle.note(`weather: ${kind} of ${process.name} at ${operation}`);
  }

  /** Nothing happens any more. */
  calm(): void {
    this.#eventsLeft = 0;
    for (const release of this.#holds) release();
  }

  /** False when it was not possible. */
  #do(kind: TransactionEventKind, process: SimulatedProcess): boolean {
    const { kafka } = this.#world;
    const times = 1 + this.#random.below(2);
    switch (kind) {
      case 'transaction-aborted':
        return this.#abort();
      case 'transaction-fatal':
        this.#fail(this.#random.pick(['send-offsets', 'commit-transaction', 'abort-transaction']), 1, 'fatal', 47);
        return true;
      case 'transaction-unanswered':
        this.#fail(this.#random.pick([...STEPS.slice(1), 'init-transactions']), times, 'retriable', -185);
        return true;
      case 'commit-unknown':
        this.#fail('commit-transaction-answer', 1, this.#random.pick(['fatal', 'abortable']), -195);
        return true;
      case 'transaction-fenced':
        return this.#fence(process);
      case 'transaction-held': {
        const hold = kafka.hold(this.#random.pick(STEPS));
        const release = (): void => {
          if (this.#holds.delete(release)) hold.release();
        };
        this.#holds.add(release);
        this.#world.clock.setTimeout(release, this.#random.pick([300, 3_000, 8_000]));
        return true;
      }
      case 'transaction-crash':
        this.#world.crash(process);
        return true;
      case 'transaction-lost':
        return this.#world.take('lost', process);
      case 'transaction-revoke':
        return this.#world.take('revoke', process);
      case 'transaction-stop':
        this.#world.stop(process, {
          mode: this.#random.pick(['in-flight', 'drain']),
          timeoutMs: this.#random.pick([0, 2_000]),
        });
        return true;
    }
  }

  #abort(): boolean {
    const operation = this.#random.pick<FakeOperation>(['send', 'send-offsets', 'commit-transaction']);
    if (operation !== 'send') this.#fail(operation, 1, 'abortable', this.#random.pick(ABORTABLE_CODES));
    else
      this.#world.kafka.fail(
        'send',
        1,
        ({ message }) => new ProduceError(message?.topic ?? '', 'the weather says so', { retriable: true }),
      );
    return true;
  }

  /** Somebody else takes the producer's id, as a process does that thinks that it is this one. */
  #fence({ transactionalId }: SimulatedProcess): boolean {
    const { kafka, clock } = this.#world;
    if (transactionalId === undefined) return false;
    const other = kafka.transactionalProducer({ clock, logger: quiet, transactionalId, transactionTimeoutMs: 1_000 });
    const take = async (): Promise<void> => {
      await other.connect({ timeoutMs: 1_000 });
      await other.init(1_000);
      await other.close(0);
    };
    // Where the weather keeps it from that, nobody is fenced.
    take().catch(() => {});
    return true;
  }

  #fail(operation: FakeOperation, times: number, kind: TransactionError['kind'], kafkaCode: number): void {
    this.#world.kafka.fail(operation, times, () => new TransactionError(kind, 'the weather says so', { kafkaCode }));
  }
}
