import type { Clock } from '../clock.ts';
import { ConnectionError } from '../errors.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { FakeAssignor } from './fake-kafka-assignor.ts';
import { FakeGroup } from './fake-kafka-group.ts';
import type { FakeCall, FakeCaller, FakeCargo, FakeOperation } from './fake-kafka-network.ts';
import { FakeNetwork } from './fake-kafka-network.ts';
import { FakeTopics } from './fake-kafka-topics.ts';
import { FakeTransactions } from './fake-kafka-transactions.ts';

/** What a fake cluster is made with. */
interface FakeStateOptions {
  readonly clock: Clock;
  readonly assignor: FakeAssignor;
  readonly requestTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly atAwait: ((call: FakeCall) => void) | undefined;
}

/** Everything that the clients of one fake cluster share. */
export class FakeState {
  readonly brokers: readonly string[] = ['fake:9092'];
  readonly requestTimeoutMs: number;
  readonly network: FakeNetwork;
  readonly topics: FakeTopics;
  readonly transactions: FakeTransactions;
  readonly #options: FakeStateOptions;
  readonly #groups = new Map<string, FakeGroup>();
  /** Polls that wait for something to change. */
  readonly #readers = new Set<() => void>();
  #clients = 0;

  constructor(options: FakeStateOptions) {
    this.#options = options;
    this.requestTimeoutMs = options.requestTimeoutMs;
    this.network = new FakeNetwork(options.atAwait);
    this.topics = new FakeTopics(
      options.clock,
      () => this.changed(),
      () => {
        for (const group of this.#groups.values()) group.reconcile();
        this.changed();
      },
    );
    this.transactions = new FakeTransactions(options.clock, this.topics);
  }

  /** A name for a client that nobody else has. */
  nextClientName(kind: string): string {
    return `${kind}-${++this.#clients}`;
  }

  group(groupId: string): FakeGroup {
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      group = new FakeGroup(groupId, this.topics, this.#options);
      this.#groups.set(groupId, group);
    }
    return group;
  }

  /** Calls `reader` whenever a log changes; returns how to end that. */
  watch(reader: () => void): () => void {
    this.#readers.add(reader);
    return () => void this.#readers.delete(reader);
  }

  changed(): void {
    for (const reader of [...this.#readers]) reader();
  }

  /** The clients with this `clientId` are gone: their members are given up when their sessions are over. */
  crash(clientId: string): void {
    this.network.cutOff(clientId);
    for (const group of this.#groups.values()) {
      for (const member of group.members) {
        if (member.clientId === clientId) group.leaveQuietly(member, this.#options.clock);
      }
    }
  }

  /** A request that needs a broker, which waits for one and gives up after the request timeout. */
  async request(
    operation: FakeOperation,
    caller: FakeCaller,
    onTimeout: () => KafkaWorkerError,
    cargo?: FakeCargo,
  ): Promise<void> {
    await this.network.pass(operation, caller, cargo);
    if (!(await this.network.reach(caller, this.requestTimeoutMs))) throw onTimeout();
  }

  /** Connecting: waits for a broker until the time is up or it is given up. */
  async connect(caller: FakeCaller, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    await this.network.pass('connect', caller);
    if (signal?.aborted !== true && (await this.network.reach(caller, timeoutMs, signal))) return;
    const brokers = this.brokers;
    if (signal?.aborted) throw new ConnectionError('connecting was given up', { brokers, cause: signal.reason });
    throw new ConnectionError(`no broker of ${brokers.join(', ')} could be reached within ${timeoutMs} ms`, {
      brokers,
    });
  }
}
