import type { Timer } from './clock.ts';
import { deadLetterOf } from './dead-letter-message.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { UnwritableSend } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { Decision } from './failure.ts';
import type { Freezer } from './freezer.ts';
import { type CallItem, HandlerCall } from './handler-call.ts';
import { HandlerError, NonRetriableError } from './handler-errors.ts';
import { type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { KeptSends } from './kept-sends.ts';
import type { KeptRecord } from './partition-sends.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import { backoffMs } from './retry-policy.ts';
import type { Turns } from './turns.ts';
import { Verdicts } from './verdicts.ts';

/** A dead letter that cannot be written is tried again after these, for as long as its record is ours. */
const BACKOFF = { initialMs: 500, maxMs: 30_000, factor: 2, jitter: 0.5 };

/** What it acts on. */
export interface UndeliveredParts {
  readonly options: ResolvedWorkerOptions;
  readonly keptSends: KeptSends;
  readonly turns: Turns;
  readonly events: EventListeners;
  readonly deadLetters: DeadLetters;
  readonly freezer: Freezer;
  /** The same commit is worth another attempt. */
  readonly progress: () => void;
  readonly stop: (error: KafkaWorkerError) => void;
}

/** A record that waits until what is kept of it is written again. */
export interface WaitingRecord {
  readonly item: CallItem;
  /** Where it could not be written. */
  readonly to: string;
  readonly isDeadLetter: boolean;
  readonly error: Error;
  /** Milliseconds since the epoch. */
  readonly dueAt: number;
}

/**
 * Records whose handler has succeeded, and whose messages can never be written. The failure policy decides about them as about any other failure,
 * but the handler is not called again: later records of its lane have been handled meanwhile. So `retry` writes the same messages again, `skip` drops
 * them, `dead-letter` puts the record in their place, and under `freeze` their partition stands still until somebody says which of the two it is to be.
 */
export class Undelivered {
  readonly #parts: UndeliveredParts;
  readonly #verdicts: Verdicts;
  readonly #waiting = new Map<KeptRecord, WaitingRecord & { readonly timer: Timer }>();
  #hasStopped = false;

  constructor(parts: UndeliveredParts) {
    this.#parts = parts;
    this.#verdicts = new Verdicts(parts.options, parts.events);
  }

  *waiting(): Generator<WaitingRecord> {
    for (const one of this.#waiting.values()) if (one.item.owner.phase !== 'ended') yield one;
  }

  /** Nothing is written again from now on: what waits for that is left. */
  stop(): void {
    this.#hasStopped = true;
    for (const { timer } of this.#waiting.values()) timer.clear();
    this.#waiting.clear();
  }

  /** Inside a turn. */
  decide(unwritable: readonly UnwritableSend[]): void {
    const seen = new Set<KeptRecord>();
    for (const { topic, partition, send, error } of unwritable) {
      const record = this.#parts.keptSends.recordOf(topic, partition, send);
      // Of several messages of one record the first one stands for all. What is held is decided about.
      if (record === undefined || seen.has(record) || record.isHeld) continue;
      seen.add(record);
      if (record.isDeadLetter) this.#deadLetterFailed(record, send.message.topic, error, () => {});
      else this.#decide(record, send.message.topic, new NonRetriableError(error.message, { cause: error }));
    }
  }

  #decide(record: KeptRecord, to: string, error: NonRetriableError): void {
    const { options, keptSends, freezer, progress, stop } = this.#parts;
    const { item, attempt } = record;
    const { topic, partition, offset } = item.received;
    const call = new HandlerCall(record.lane, item.received, item.owner, item.record, undefined);
    call.attempt = attempt;
    call.firstFailedAt = record.firstFailedAt;
    const decision = this.#verdicts.of(call, item, error);
    record.firstFailedAt = call.firstFailedAt;
    switch (decision.do) {
      case 'retry':
        record.attempt++;
        this.#hold(record, decision.afterMs, { to, error }, () => {});
        return;
      case 'skip':
        if (decision.log === true)
          options.logger.error('what a record has sent is dropped', { topic, partition, offset, error });
        keptSends.replace(record, undefined);
        progress();
        return;
      case 'dead-letter':
        this.#deadLetter(decision, record, call, error);
        return;
      case 'freeze':
        // Held, so that no commit that is still to come passes it.
        record.isHeld = true;
        freezer.freezeKept(call, error, (skip) => {
          if (skip) keptSends.replace(record, undefined);
          record.attempt++;
          record.isHeld = false;
          progress();
        });
        return;
      default:
    }
    record.isHeld = true;
    stop(new HandlerError(item.received, attempt, error));
  }

  #deadLetter(decision: Decision & { do: 'dead-letter' }, record: KeptRecord, call: HandlerCall, error: Error): void {
    const { options, keptSends, deadLetters, progress, stop } = this.#parts;
    const objection = deadLetters.objection(record.item, decision.brake, error);
    if (objection !== undefined) {
      record.isHeld = true;
      stop(objection);
      return;
    }
    const put = (): void => {
      try {
        keptSends.replace(record, deadLetterOf(decision.topic, call, record.item, error, options.groupId));
      } catch (thrown) {
        // It is too large, or a plugin has refused it: it stays, as one does that a broker refuses.
        this.#deadLetterFailed(record, decision.topic, toError(thrown), put);
      }
    };
    put();
    if (!record.isHeld) progress();
  }

  /** Nothing is dropped: it is written again and again, and its partition's progress waits. */
  #deadLetterFailed(record: KeptRecord, to: string, error: Error, before: () => void): void {
    const { options, events } = this.#parts;
    const { received, record: source } = record.item;
    const { topic, partition, offset } = received;
    const failures = record.attempt++;
    const afterMs = backoffMs(BACKOFF, Math.min(failures, 10), options.random());
    options.logger.error('a dead letter could not be written: its record is not committed, nor what follows it', {
      ...{ topic, partition, offset, to, error, retryAfterMs: Math.round(afterMs) },
    });
    if (events.has('dead-letter-failed'))
      events.emit('dead-letter-failed', { record: source, topic: to, error, failures });
    this.#hold(record, afterMs, { to, error, isDeadLetter: true }, before);
  }

  /** What is at or above it in its partition waits; everything else goes on. `before` may hold it again. */
  #hold(
    record: KeptRecord,
    afterMs: number,
    why: { readonly to: string; readonly error: Error; readonly isDeadLetter?: true },
    before: () => void,
  ): void {
    const { options, turns, progress } = this.#parts;
    record.isHeld = true;
    if (this.#hasStopped) return;
    const timer = options.clock.setTimeout(() => {
      turns.run(() => {
        this.#waiting.delete(record);
        record.isHeld = false;
        before();
        if (!record.isHeld) progress();
      });
    }, afterMs);
    const dueAt = options.clock.now() + afterMs;
    this.#waiting.set(record, { item: record.item, isDeadLetter: false, dueAt, timer, ...why });
  }
}
