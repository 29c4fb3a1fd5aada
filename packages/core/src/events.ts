import type { ClientStatistics } from './client-statistics.ts';
import { InvalidOptionError } from './errors.ts';
import type { Decision, Failure } from './failure.ts';
import type { ReaderChoice } from './kafka-client.ts';
import { toError } from './kafka-worker-error.ts';
import type { WorkerState } from './lifecycle.ts';
import type { Logger } from './logger.ts';
import type { KafkaRecord, NextOffset, TopicPartition } from './record.ts';

/** What a worker tells those who listen. Nothing is measured for an event that nobody listens to. */
export interface WorkerEvents {
  state(event: { readonly from: WorkerState; readonly to: WorkerState }): void;
  /** It is connected, and it is settled who reads its records: once for each start, where the cluster's client has a choice. */
  reading(event: ReaderChoice): void;
  /** Partitions are ours, their starts resolved and committed. */
  assigned(event: { readonly partitions: readonly TopicPartition[] }): void;
  /** Partitions are no longer ours. `drainedMs` is how long their running handlers and last commit took. */
  revoked(event: {
    readonly partitions: readonly TopicPartition[];
    readonly lost: boolean;
    readonly drainedMs: number;
  }): void;
  polled(event: { readonly records: number; readonly bytes: number }): void;
  /**
   * The loop has turned: a poll has come back, with records or without, and was taken in. At least once a second from the start to the end of the
   * draining, unless the event loop is held or the client hangs. `pollMs` is how long the poll took, `turnMs` how long it took to take it in and to start
   * what could be started then; a next poll may be under way meanwhile.
   */
  turned(event: { readonly records: number; readonly pollMs: number; readonly turnMs: number }): void;
  /** A record is done. `durationMs` is the last call's. */
  settled(event: {
    readonly record: KafkaRecord<unknown, unknown>;
    readonly outcome: 'handled' | 'skipped' | 'dead-lettered';
    readonly attempts: number;
    readonly durationMs: number;
  }): void;
  /** A handler call failed, and what is done about it. One decision may hold for several `records`: of a batch that failed as a whole `record` is the first. */
  failed(
    event: Failure & { readonly decision: Decision; readonly records: readonly KafkaRecord<unknown, unknown>[] },
  ): void;
  /**
   * Partitions stay ours and go on from elsewhere: somebody has sought, or the delivery has stored other progress. What was received of them is forgotten,
   * and what its handlers still do counts no more.
   */
  restarted(event: { readonly partitions: readonly TopicPartition[] }): void;
  /** A failed record could not be written to its dead letter topic. It is tried again; its record stays, and its lane waits. */
  'dead-letter-failed'(event: {
    readonly record: KafkaRecord<unknown, unknown>;
    readonly topic: string;
    readonly error: Error;
    /** In a row, with this one. */
    readonly failures: number;
  }): void;
  /** A partition, or a key, stands still at a record that failed. */
  frozen(
    event: TopicPartition & {
      readonly scope: 'partition' | 'key';
      readonly key: string | null;
      readonly offset: number;
      readonly error: unknown;
    },
  ): void;
  unfrozen(
    event: TopicPartition & {
      readonly scope: 'partition' | 'key';
      readonly key: string | null;
      readonly skipped: boolean;
    },
  ): void;
  /** A handler has not returned `stuckAfterMs` after its signal was aborted. */
  stuck(event: TopicPartition & { readonly offset: number; readonly waitedMs: number }): void;
  committed(event: { readonly offsets: readonly NextOffset[]; readonly durationMs: number }): void;
  'commit-failed'(event: { readonly offsets: readonly NextOffset[]; readonly error: Error }): void;
  /**
   * What the consumer, or the producer of `context.send` and dead letters, says of itself. Only with a client that keeps statistics and is told to, as
   * `confluentKafka` is by librdkafka's `statistics.interval.ms`.
   */
  statistics(event: ClientStatistics): void;
  /** Something went wrong that no other event tells: a broker went away, a listener threw, … */
  error(event: { readonly error: Error }): void;
}

type Listener<E extends keyof WorkerEvents> = WorkerEvents[E];

const eventNames: Readonly<Record<keyof WorkerEvents, true>> = {
  ...{ state: true, assigned: true, revoked: true, polled: true, settled: true, failed: true, committed: true },
  ...{ 'dead-letter-failed': true, frozen: true, unfrozen: true, stuck: true, turned: true, restarted: true },
  ...{ 'commit-failed': true, error: true, statistics: true, reading: true },
};

/** The typed listeners of one worker. A listener that throws or rejects is reported and changes nothing; none is awaited. */
export class EventListeners {
  readonly #listeners = new Map<keyof WorkerEvents, Set<(event: never) => unknown>>();
  /** Asked for every record, so a property and no look-up. */
  listensToSettled = false;
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @throws InvalidOptionError for an event that there is not */
  on<E extends keyof WorkerEvents>(event: E, listener: Listener<E>): () => void {
    if (!Object.hasOwn(eventNames, event))
      throw new InvalidOptionError('event', `one of ${Object.keys(eventNames).join(', ')}`, event);
    if (typeof listener !== 'function') throw new InvalidOptionError(`listener of ${event}`, 'a function', listener);
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    const own = (payload: never): unknown => listener(payload);
    listeners.add(own);
    this.listensToSettled = this.has('settled');
    return () => {
      listeners.delete(own);
      this.listensToSettled = this.has('settled');
    };
  }

  /** Whether an event's payload is worth making. */
  has(event: keyof WorkerEvents): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0;
  }

  emit<E extends keyof WorkerEvents>(event: E, payload: Parameters<WorkerEvents[E]>[0]): void {
    const listeners = this.#listeners.get(event);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        // A function that returns nothing may be an async one.
        const returned = listener(payload as never);
        if (isThenable(returned)) returned.then(undefined, (thrown: unknown) => this.#failed(event, thrown));
      } catch (thrown) {
        this.#failed(event, thrown);
      }
    }
  }

  #failed(event: keyof WorkerEvents, thrown: unknown): void {
    const error = toError(thrown);
    this.#logger.error('a listener threw', { event, error });
    if (event !== 'error') this.emit('error', { error });
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
