import { deadLetterOf } from './dead-letter-message.ts';
import type { DeadLetters } from './dead-letters.ts';
import { HandlerError, type KafkaWorkerError, NonRetriableError, type UnwritableSend } from './errors.ts';
import type { EventListeners } from './events.ts';
import { HandlerCall } from './handler-call.ts';
import type { KeptRecord, KeptSends } from './kept-sends.ts';
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
  /** The same commit is worth another attempt. */
  readonly progress: () => void;
  readonly stop: (error: KafkaWorkerError) => void;
}

/**
 * Records whose handler has succeeded, and whose messages can never be written. The failure policy decides about them as about any other failure,
 * but the handler is not called again: later records of its lane have been handled meanwhile. So `retry` writes the same messages again, `skip` drops
 * them, `dead-letter` puts the record in their place, and what would make its partition or key stand still ends the worker.
 */
export class Undelivered {
  readonly #parts: UndeliveredParts;
  readonly #verdicts: Verdicts;

  constructor(parts: UndeliveredParts) {
    this.#parts = parts;
    this.#verdicts = new Verdicts(parts.options, parts.events);
  }

  /** Inside a turn. */
  decide(unwritable: readonly UnwritableSend[]): void {
    const seen = new Set<KeptRecord>();
    for (const { topic, partition, send, error } of unwritable) {
      const record = this.#parts.keptSends.recordOf(topic, partition, send);
      // Of several messages of one record the first one stands for all. What is held is decided about.
      if (record === undefined || seen.has(record) || record.isHeld) continue;
      seen.add(record);
      if (record.isDeadLetter) this.#deadLetterFailed(record, error);
      else this.#decide(record, new NonRetriableError(error.message, { cause: error }));
    }
  }

  #decide(record: KeptRecord, error: NonRetriableError): void {
    const { options, keptSends, deadLetters, progress, stop } = this.#parts;
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
        this.#hold(record, decision.afterMs);
        return;
      case 'skip':
        if (decision.log === true)
          options.logger.error('what a record has sent is dropped', { topic, partition, offset, error });
        keptSends.replace(record, undefined);
        progress();
        return;
      case 'dead-letter': {
        const objection = deadLetters.objection(item, decision.brake, error);
        if (objection !== undefined) {
          record.isHeld = true;
          stop(objection);
          return;
        }
        keptSends.replace(record, deadLetterOf(decision.topic, call, item, error, options.groupId));
        progress();
        return;
      }
      default:
    }
    // Held, so that no commit that is still to come passes it.
    record.isHeld = true;
    stop(new HandlerError(item.received, attempt, error));
  }

  /** Nothing is dropped: it is written again and again, and its partition's progress waits. */
  #deadLetterFailed(record: KeptRecord, error: Error): void {
    const { options, events } = this.#parts;
    const { received, record: source } = record.item;
    const { topic, partition, offset } = received;
    const to = record.sends[0]?.message.topic ?? '';
    const failures = record.attempt++;
    const afterMs = backoffMs(BACKOFF, Math.min(failures, 10), options.random());
    options.logger.error('a dead letter could not be written: its record is not committed, nor what follows it', {
      ...{ topic, partition, offset, to, error, retryAfterMs: Math.round(afterMs) },
    });
    if (events.has('dead-letter-failed'))
      events.emit('dead-letter-failed', { record: source, topic: to, error, failures });
    this.#hold(record, afterMs);
  }

  /** What is at or above it in its partition waits; everything else goes on. */
  #hold(record: KeptRecord, afterMs: number): void {
    const { options, turns, progress } = this.#parts;
    record.isHeld = true;
    options.clock.setTimeout(() => {
      turns.run(() => {
        record.isHeld = false;
        progress();
      });
    }, afterMs);
  }
}
