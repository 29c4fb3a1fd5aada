import type { Clock } from '../clock.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { NextOffset, OutgoingRecord } from '../record.ts';

/**
 * Where a call can be held, fail, or be met by an event. `commit` and `send` are the way to the broker, `commit-answer` and `send-answer` the way
 * back: what is held or fails there has taken effect. So are `commit-transaction` and `commit-transaction-answer`.
 */
export type FakeOperation =
  | 'connect'
  | 'poll'
  | 'commit'
  | 'commit-answer'
  | 'committed'
  | 'offsets-for'
  | 'partition-counts'
  | 'seek'
  | 'close'
  | 'send'
  | 'send-answer'
  | 'init-transactions'
  | 'send-offsets'
  | 'commit-transaction'
  | 'commit-transaction-answer'
  | 'abort-transaction'
  | 'admin';

/** What a call carries. */
export interface FakeCargo {
  /** Of `commit`, `commit-answer` and `send-offsets`. */
  readonly offsets?: readonly NextOffset[];
  /** Of `send` and `send-answer`. */
  readonly message?: OutgoingRecord;
}

/** One call that waits for the cluster, as a test sees it. */
export interface FakeCall extends FakeCargo {
  readonly operation: FakeOperation;
  /** Counts every call of every client of this cluster, from 0. */
  readonly sequence: number;
  readonly groupId: string | undefined;
  readonly clientId: string | undefined;
}

/** Calls of one operation that do not go on until `release`. */
export interface FakeHold {
  /** How many calls wait. */
  readonly waiting: number;
  /** Resolves as soon as at least one call waits. */
  arrived(): Promise<void>;
  /** Lets the waiting calls go on, and later ones pass. */
  release(): void;
}

/** Who calls, and how long the call waits for a cluster that is down. */
export interface FakeCaller {
  readonly groupId: string | undefined;
  readonly clientId: string | undefined;
  readonly clock: Clock;
}

interface PlannedFailure {
  readonly operation: FakeOperation;
  left: number;
  readonly error: (call: FakeCall) => KafkaWorkerError;
}

/** What lies between clients and the fake cluster: every call passes here, and a test decides what becomes of it. */
export class FakeNetwork {
  #sequence = 0;
  #isDown = false;
  readonly #holds = new Set<Hold>();
  readonly #failures: PlannedFailure[] = [];
  readonly #waitingForBrokers = new Set<() => void>();
  /** Clients of processes that are gone. */
  readonly #cutOff = new Set<string>();
  readonly #atAwait: ((call: FakeCall) => void) | undefined;

  constructor(atAwait: ((call: FakeCall) => void) | undefined) {
    this.#atAwait = atAwait;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** Returns once the call may go on. Throws what a test planned for it. A cluster that is down is not its business, see {@link reach}. */
  async pass(operation: FakeOperation, caller: FakeCaller, cargo: FakeCargo = {}): Promise<void> {
    const { groupId, clientId } = caller;
    // Never in the caller's own turn, as with a real client.
    await Promise.resolve();
    const call: FakeCall = { operation, sequence: this.#sequence++, groupId, clientId, ...cargo };
    this.#atAwait?.(call);
    for (const hold of [...this.#holds]) if (hold.operation === operation) await hold.wait();
    await this.connected(caller);
    const failure = this.#failures.find((planned) => planned.operation === operation && planned.left > 0);
    if (failure !== undefined) {
      failure.left--;
      throw failure.error(call);
    }
  }

  /** Waits while the cluster is down, at most `timeoutMs`. Whether it can be reached then. */
  async reach(caller: FakeCaller, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (!this.#isDown) return true;
    if (signal?.aborted) return false;
    await new Promise<void>((resolve) => {
      const timer = caller.clock.setTimeout(end, timeoutMs);
      const waiting = this.#waitingForBrokers;
      function end(): void {
        timer.clear();
        waiting.delete(end);
        signal?.removeEventListener('abort', end);
        resolve();
      }
      waiting.add(end);
      signal?.addEventListener('abort', end);
    });
    await this.connected(caller);
    return !this.#isDown && signal?.aborted !== true;
  }

  /** From now on nothing of these clients gets through, and nothing comes back to them. */
  cutOff(clientId: string): void {
    this.#cutOff.add(clientId);
  }

  /** Resolves at once, or never for a client that was cut off. */
  connected({ clientId }: FakeCaller): Promise<void> | undefined {
    return clientId !== undefined && this.#cutOff.has(clientId) ? new Promise(() => {}) : undefined;
  }

  hold(operation: FakeOperation): FakeHold {
    const hold = new Hold(operation, () => this.#holds.delete(hold));
    this.#holds.add(hold);
    return hold;
  }

  fail(operation: FakeOperation, times: number, error: (call: FakeCall) => KafkaWorkerError): void {
    this.#failures.push({ operation, left: times, error });
  }

  takeDown(): void {
    this.#isDown = true;
  }

  bringUp(): void {
    this.#isDown = false;
    for (const end of [...this.#waitingForBrokers]) end();
  }
}

class Hold implements FakeHold {
  readonly operation: FakeOperation;
  readonly #onRelease: () => void;
  readonly #held: (() => void)[] = [];
  readonly #arrivals: (() => void)[] = [];
  #isReleased = false;

  constructor(operation: FakeOperation, onRelease: () => void) {
    this.operation = operation;
    this.#onRelease = onRelease;
  }

  get waiting(): number {
    return this.#held.length;
  }

  async wait(): Promise<void> {
    if (this.#isReleased) return;
    await new Promise<void>((resolve) => {
      this.#held.push(resolve);
      for (const arrived of this.#arrivals.splice(0)) arrived();
    });
  }

  async arrived(): Promise<void> {
    if (this.#held.length > 0) return;
    await new Promise<void>((resolve) => void this.#arrivals.push(resolve));
  }

  release(): void {
    this.#isReleased = true;
    this.#onRelease();
    for (const resolve of this.#held.splice(0)) resolve();
  }
}
