import type { EventListeners } from './events.ts';
import { actionOf, type Decision, type Failure } from './failure.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import { isKafkaWorkerError, toError } from './kafka-worker-error.ts';
import { hasKeyLanes } from './lane-rule.ts';
import { isTopicName } from './option-checks.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';

/** Asks the failure policy, and sees to it that what it says can be carried out; anything else counts as stop, which loses nothing. */
export class Verdicts {
  readonly #options: ResolvedWorkerOptions;
  readonly #events: EventListeners;
  readonly #hasKeyLanes: boolean;

  constructor(options: ResolvedWorkerOptions, events: EventListeners) {
    this.#options = options;
    this.#events = events;
    this.#hasKeyLanes = hasKeyLanes(options.concurrency.lanes);
  }

  /**
   * What is to be done about a record of a call whose attempt has failed.
   * @param heldFor what a decision is carried out for: told to who listens, and made for nobody else
   */
  of(
    call: HandlerCall,
    item: CallItem,
    error: unknown,
    heldFor: (decision: Decision) => readonly CallItem[] = () => [item],
  ): Decision {
    const { clock, random } = this.#options;
    const now = clock.now();
    call.firstFailedAt ??= now;
    call.lastFailedAt = now;
    const failure: Failure = {
      record: item.record,
      error,
      attempt: call.attempt,
      firstFailedAt: call.firstFailedAt,
      random: random(),
    };
    const decision = this.#decide(failure, now);
    if (this.#events.has('failed')) {
      const records = heldFor(decision).map((one) => one.record);
      this.#events.emit('failed', { ...failure, decision, records });
    }
    return decision;
  }

  #decide(failure: Failure, now: number): Decision {
    const { onFailure, logger } = this.#options;
    let decision: Decision;
    let why: string | undefined;
    let error: Error | undefined;
    try {
      decision = onFailure.decide(failure, now);
      why = this.#objection(decision, failure);
    } catch (thrown) {
      decision = { do: 'stop' };
      why = 'threw';
      error = toError(thrown);
    }
    if (why === undefined) return decision;
    logger.error(`the failure policy ${why}, which counts as stop`, {
      policy: onFailure.name,
      ...(error && { error }),
    });
    return { do: 'stop' };
  }

  /** What is wrong with a decision, if anything. */
  #objection(decision: Decision, failure: Failure): string | undefined {
    switch (decision?.do) {
      case 'stop':
        return undefined;
      case 'skip':
        return undefined;
      case 'retry':
        return retryObjection(decision.afterMs, failure);
      case 'dead-letter':
        if (!isTopicName(decision.topic))
          return `said dead letter to ${JSON.stringify(decision.topic)}, which is no topic's name`;
        if (decision.topic === failure.record.topic)
          return `said dead letter to ${decision.topic}, where the record came from`;
        return this.#refusal(decision);
      case 'freeze':
        if (decision.scope !== 'partition' && decision.scope !== 'key') return `said freeze ${String(decision.scope)}`;
        if (decision.scope === 'key' && !this.#hasKeyLanes)
          return 'said freeze key under a concurrency without key lanes';
        return this.#refusal(decision);
      default:
        return `said ${JSON.stringify(decision)}, which this version does not know`;
    }
  }

  #refusal(decision: Decision): string | undefined {
    const { name, refuses } = this.#options.delivery;
    const action = actionOf(decision);
    return refuses?.actions.includes(action) === true
      ? `said ${action} under ${name}, where ${refuses.why}`
      : undefined;
  }
}

function retryObjection(afterMs: number, { error }: Failure): string | undefined {
  if (!(afterMs >= 0) || afterMs === Number.POSITIVE_INFINITY) return `said retry after ${afterMs} ms`;
  const isHopeless = isKafkaWorkerError(error) && (error.code === 'DESERIALIZATION' || error.code === 'LANE');
  return isHopeless ? 'said retry for a record that will be the same' : undefined;
}
