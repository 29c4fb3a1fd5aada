import type { Clock, Timer } from './clock.ts';
import { DeadLetterBrake } from './dead-letter-brake.ts';
import { deadLetterOf } from './dead-letter-message.ts';
import type { EventListeners } from './events.ts';
import type { Brake } from './failure.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import { DeadLetterBrakeError } from './handler-errors.ts';
import { isKafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { Lanes } from './lanes.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { OutgoingRecord } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import { backoffMs } from './retry-policy.ts';
import type { Turns } from './turns.ts';

/** One that could not be written is tried again after these, for as long as the record is ours. */
const BACKOFF = { initialMs: 500, maxMs: 30_000, factor: 2, jitter: 0.5 };

/** What dead letters act on. */
export interface DeadLetterParts {
  readonly options: ResolvedWorkerOptions;
  readonly lanes: Lanes<HandlerCall>;
  readonly turns: Turns;
  readonly laneNow: () => number;
  readonly events: EventListeners;
  /** Resolves when the broker has acknowledged the message, or it is kept with the record `item`, to be written when that is committed. */
  readonly write: (message: OutgoingRecord, item: CallItem) => Promise<unknown>;
  /** Its dead letter is acknowledged: the record is finished. */
  readonly written: (call: HandlerCall, item: CallItem) => void;
  /** A record is kept for long, and no handler has it. */
  readonly detach: (item: CallItem) => void;
}

/** A dead letter that is not acknowledged yet. */
export interface PendingDeadLetter {
  readonly call: HandlerCall;
  readonly item: CallItem;
  readonly message: OutgoingRecord;
  readonly since: number;
  /** Writes that have failed. */
  failures: number;
  /** What the last failure said. */
  lastError: Error | undefined;
  isWriting: boolean;
  /** Until the next write. */
  timer: Timer | undefined;
}

/**
 * Writes failed records to another topic. A record's lane is held until its dead letter is acknowledged, however long that takes: one that cannot be
 * written stays, and is written again and again, so that nothing is dropped.
 */
export class DeadLetters {
  readonly #parts: DeadLetterParts;
  readonly #clock: Clock;
  readonly #pending = new Set<PendingDeadLetter>();
  readonly #brake = new DeadLetterBrake<OwnedPartition>();
  #writing = 0;
  #hasStopped = false;

  constructor(parts: DeadLetterParts) {
    this.#parts = parts;
    this.#clock = parts.options.clock;
  }

  *pending(): Generator<PendingDeadLetter> {
    yield* this.#pending;
  }

  /** Whether a write is under way. */
  get isWriting(): boolean {
    return this.#writing > 0;
  }

  /** Whether none waits to be acknowledged. */
  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /** For the brake. */
  noteHandled(owner: OwnedPartition, now: number): void {
    this.#brake.noteHandled(owner, now);
  }

  /** Why the record must not become a dead letter, if the brake holds: then the worker is to stop. */
  objection(item: CallItem, brake: Brake | false | undefined, cause: unknown): DeadLetterBrakeError | undefined {
    const why = this.#brake.noteDeadLetter(item.owner, brake, this.#clock.now());
    return why === undefined ? undefined : new DeadLetterBrakeError(item.received, why, cause);
  }

  /** The lane is held from now on; the caller ends the call that has failed. */
  add(call: HandlerCall, item: CallItem, topic: string, error: unknown): void {
    this.#parts.lanes.hold(call.lane);
    const message = deadLetterOf(topic, call, item, error, this.#parts.options.groupId);
    const pending: PendingDeadLetter = {
      ...{ call, item, message, since: this.#clock.now() },
      ...{ failures: 0, lastError: undefined, isWriting: false, timer: undefined },
    };
    this.#pending.add(pending);
    this.#write(pending);
  }

  /** Records of partitions that leave, or have left, are written no more; what is under way may still arrive. */
  dropLeaving(): void {
    for (const pending of this.#pending) {
      const { phase } = pending.item.owner;
      const isDropped = phase === 'ended' || (phase === 'leaving' && !pending.isWriting);
      if (isDropped) this.#end(pending);
    }
  }

  /** No write is begun any more. */
  stop(): void {
    this.#hasStopped = true;
    for (const { timer } of this.#pending) timer?.clear();
  }

  #write(pending: PendingDeadLetter): void {
    const { turns, write } = this.#parts;
    const { item, message } = pending;
    this.#writing++;
    pending.isWriting = true;
    item.owner.writeStarted();
    // Its own function, so that what is thrown at once is a failed write like any other.
    const attempt = async (): Promise<unknown> => write(message, item);
    attempt().then(
      () => turns.run(() => this.#wrote(pending, undefined)),
      (error: unknown) => turns.run(() => this.#wrote(pending, toError(error))),
    );
  }

  #wrote(pending: PendingDeadLetter, error: Error | undefined): void {
    const { call, item } = pending;
    this.#writing--;
    pending.isWriting = false;
    item.owner.writeEnded();
    if (!this.#pending.has(pending)) return;
    if (error === undefined) {
      this.#parts.written(call, item);
      this.#end(pending);
    } else if (item.owner.phase !== 'active') {
      item.owner.leaveOpen(item.received.offset);
      this.#end(pending);
    } else {
      this.#failed(pending, error);
    }
  }

  #failed(pending: PendingDeadLetter, error: Error): void {
    const { events, options, turns } = this.#parts;
    pending.failures++;
    pending.lastError = error;
    pending.item.owner.leaveOpen(pending.item.received.offset);
    this.#parts.detach(pending.item);
    const { topic, partition, offset } = pending.item.received;
    const afterMs = backoffMs(BACKOFF, pending.failures, options.random());
    const isFinal = isKafkaWorkerError(error) && !error.retriable;
    options.logger.error('a dead letter could not be written: its record stays, and its lane waits', {
      ...{ topic, partition, offset, to: pending.message.topic, error, isFinal, retryAfterMs: Math.round(afterMs) },
    });
    if (events.has('dead-letter-failed')) {
      const { record } = pending.item;
      events.emit('dead-letter-failed', { record, topic: pending.message.topic, error, failures: pending.failures });
    }
    if (this.#hasStopped) return;
    pending.timer = this.#clock.setTimeout(() => {
      turns.run(() => {
        pending.timer = undefined;
        if (this.#pending.has(pending)) this.#write(pending);
      });
    }, afterMs);
  }

  #end(pending: PendingDeadLetter): void {
    pending.timer?.clear();
    this.#pending.delete(pending);
    this.#parts.lanes.unpark(pending.call.lane, undefined, this.#parts.laneNow());
  }
}
