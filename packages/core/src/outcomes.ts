import type { Clock, Timer } from './clock.ts';
import { HandlerError, isKafkaWorkerError, type KafkaWorkerError, toError } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { Decision, Failure } from './failure.ts';
import { type CallItem, HandlerCall } from './handler-call.ts';
import type { Lanes } from './lanes.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import type { Turns } from './turns.ts';

/** What outcomes act on. */
export interface OutcomeParts {
  readonly options: ResolvedWorkerOptions;
  readonly lanes: Lanes<HandlerCall>;
  readonly turns: Turns;
  /** The time as the lanes want it. */
  readonly laneNow: () => number;
  readonly events: EventListeners;
  /** A record is finished: the ledger and the limits follow. */
  readonly settle: (item: CallItem) => void;
  /** The policy said stop. */
  readonly stop: (error: HandlerError) => void;
}

/** A call that waits for its next attempt. */
interface ParkedCall {
  readonly call: HandlerCall;
  readonly dueAt: number;
  readonly timer: Timer;
}

/** Decides what becomes of a call that has returned, and carries it out: settle its records, park it for a retry, or stop the worker. */
export class Outcomes {
  handled = 0;
  failed = 0;
  readonly #parts: OutcomeParts;
  readonly #clock: Clock;
  readonly #parked = new Set<ParkedCall>();
  #hasStopped = false;

  constructor(parts: OutcomeParts) {
    this.#parts = parts;
    this.#clock = parts.options.clock;
  }

  /** Calls that wait for their next attempt. */
  *parked(): Generator<{ readonly call: HandlerCall; readonly dueAt: number }> {
    yield* this.#parked;
  }

  /** The handler has returned, and what it sent is acknowledged. */
  returned(call: HandlerCall): void {
    const { lanes } = this.#parts;
    if (call.failure === undefined && call.failedItems === undefined) {
      if (call.items === undefined) this.#settle(call, call, 'handled');
      else for (const item of call.items) this.#settle(call, item, 'handled');
      lanes.end(call.lane, this.#parts.laneNow());
      return;
    }
    if (call.isAborted) {
      this.#interrupted(call);
      return;
    }
    call.withdraw('ended');
    if (call.isEmpty) {
      lanes.end(call.lane, this.#parts.laneNow());
    } else if (call.failure !== undefined) {
      this.#failedAsAWhole(call, call.failure.error);
    } else {
      this.#failedInPart(call);
    }
  }

  /** Records of partitions that leave, or have left, wait for no further attempt. */
  dropLeaving(): void {
    for (const parked of this.#parked) {
      const { call } = parked;
      call.withdraw('leaving');
      if (!call.isEmpty) continue;
      parked.timer.clear();
      this.#parked.delete(parked);
      this.#parts.lanes.unpark(call.lane, undefined, this.#parts.laneNow());
    }
  }

  /** No further attempt is begun: what waits for one, now or later, is left. */
  stopRetries(): void {
    this.#hasStopped = true;
    for (const { timer } of this.#parked) timer.clear();
  }

  /** We have interrupted the handler: that it did not succeed is no failure of its records, and no policy is asked. */
  #interrupted(call: HandlerCall): void {
    const { lanes, laneNow } = this.#parts;
    const { failure, failedItems } = call;
    if (failure === undefined && failedItems !== undefined && call.items !== undefined) {
      for (const item of call.items) if (!failedItems.has(item)) this.#settle(call, item, 'handled');
      call.items = call.items.filter((item) => failedItems.has(item));
    }
    call.withdraw('leaving');
    if (call.isEmpty) lanes.end(call.lane, laneNow());
    // Left: no later record of the lane may start.
    else if (this.#hasStopped) lanes.park(call.lane, laneNow());
    else this.#again(call);
  }

  #failedAsAWhole(call: HandlerCall, error: unknown): void {
    const culprit = call.items === undefined ? undefined : undecodable(call.items, error);
    const decision = this.#decide(call, culprit ?? call.first, error);
    if (decision.do === 'retry') {
      this.#park(call, decision.afterMs);
    } else if (decision.do === 'stop') {
      this.#stop(call, culprit ?? call.first, error);
    } else if (culprit !== undefined && call.items !== undefined) {
      // Only that record is at fault: the others have not been handled, and get their call without it.
      this.#skip(call, culprit, error, decision.log);
      call.items = call.items.filter((item) => item !== culprit);
      call.withdraw('leaving');
      if (call.isEmpty) this.#parts.lanes.end(call.lane, this.#parts.laneNow());
      else this.#again(call);
    } else {
      for (const item of call.items ?? [call]) this.#skip(call, item, error, decision.log);
      this.#parts.lanes.end(call.lane, this.#parts.laneNow());
    }
  }

  #failedInPart(call: HandlerCall): void {
    const failedItems = call.failedItems ?? new Map<CallItem, unknown>();
    const again: CallItem[] = [];
    let afterMs = 0;
    let stopped: readonly [CallItem, unknown] | undefined;
    for (const item of call.items ?? [call]) {
      if (!failedItems.has(item)) {
        this.#settle(call, item, 'handled');
        continue;
      }
      const error = failedItems.get(item);
      const decision = this.#decide(call, item, error);
      if (decision.do === 'skip') this.#skip(call, item, error, decision.log);
      else if (decision.do === 'stop') stopped ??= [item, error];
      else {
        again.push(item);
        afterMs = Math.max(afterMs, decision.afterMs);
      }
    }
    if (stopped !== undefined) {
      this.#stop(call, ...stopped);
      return;
    }
    const [first] = again;
    if (first === undefined) {
      this.#parts.lanes.end(call.lane, this.#parts.laneNow());
      return;
    }
    // One call for all that failed, so that they keep their order.
    const next = new HandlerCall(call.lane, first.received, first.owner, first.record, again);
    next.attempt = call.attempt;
    next.firstFailedAt = call.firstFailedAt;
    next.lastError = call.lastError;
    this.#park(next, afterMs);
  }

  #decide(call: HandlerCall, item: CallItem, error: unknown): Decision {
    const now = this.#now();
    call.firstFailedAt ??= now;
    call.lastError = error;
    const { options, events } = this.#parts;
    const failure: Failure = {
      record: item.record,
      error,
      attempt: call.attempt,
      firstFailedAt: call.firstFailedAt,
      random: options.random(),
    };
    const decision = this.#verdict(failure, now);
    if (events.has('failed')) events.emit('failed', { ...failure, decision });
    return decision;
  }

  /** What the policy says, if it can be carried out; anything else counts as stop, which loses nothing. */
  #verdict(failure: Failure, now: number): Decision {
    const { onFailure, logger } = this.#parts.options;
    const refuse = (why: string, error?: Error): Decision => {
      logger.error(`the failure policy ${why}, which counts as stop`, {
        policy: onFailure.name,
        ...(error && { error }),
      });
      return { do: 'stop' };
    };
    let decision: Decision;
    try {
      decision = onFailure.decide(failure, now);
    } catch (thrown) {
      return refuse('threw', toError(thrown));
    }
    if (decision?.do === 'skip' || decision?.do === 'stop') return decision;
    if (decision?.do !== 'retry') return refuse(`said ${JSON.stringify(decision)}, which this version does not know`);
    if (!(decision.afterMs >= 0) || decision.afterMs === Number.POSITIVE_INFINITY)
      return refuse(`said retry after ${decision.afterMs} ms`);
    if (isKafkaWorkerError(failure.error) && ['DESERIALIZATION', 'LANE'].includes(failure.error.code)) {
      return refuse('said retry for a record that will be the same');
    }
    return decision;
  }

  #park(call: HandlerCall, afterMs: number): void {
    const { lanes, turns } = this.#parts;
    call.withdraw('leaving');
    if (call.isEmpty) {
      lanes.end(call.lane, this.#parts.laneNow());
      return;
    }
    call.nextAttempt();
    lanes.park(call.lane, this.#parts.laneNow());
    if (this.#hasStopped) return;
    const parked: ParkedCall = {
      call,
      dueAt: this.#now() + afterMs,
      timer: this.#clock.setTimeout(() => {
        turns.run(() => {
          if (this.#parked.delete(parked)) lanes.unpark(call.lane, call, this.#parts.laneNow());
        });
      }, afterMs),
    };
    this.#parked.add(parked);
  }

  /** The same attempt, at once. */
  #again(call: HandlerCall): void {
    const { lanes } = this.#parts;
    call.begin();
    lanes.park(call.lane, this.#parts.laneNow());
    lanes.unpark(call.lane, call, this.#parts.laneNow());
  }

  #skip(call: HandlerCall, item: CallItem, error: unknown, log: boolean | undefined): void {
    if (log === true) {
      const { topic, partition, offset } = item.received;
      this.#parts.options.logger.error('record skipped', {
        topic,
        partition,
        offset,
        attempts: call.attempt,
        error: toError(error),
      });
    }
    this.#settle(call, item, 'skipped');
  }

  #stop(call: HandlerCall, item: CallItem, error: unknown): void {
    // Parked for good: no later record of the lane may start.
    this.#parts.lanes.park(call.lane, this.#parts.laneNow());
    this.failed++;
    this.#parts.stop(new HandlerError(item.received, call.attempt, error));
  }

  #settle(call: HandlerCall, item: CallItem, outcome: 'handled' | 'skipped'): void {
    if (item.owner.phase === 'ended') return;
    if (outcome === 'handled') this.handled++;
    else this.failed++;
    this.#parts.settle(item);
    const { events } = this.#parts;
    if (events.listensToSettled) {
      const durationMs = this.#now() - call.startedAt;
      events.emit('settled', { record: item.record, outcome, attempts: call.attempt, durationMs });
    }
  }

  #now(): number {
    return this.#clock.now();
  }
}

/** The one record that a deserialization error names. */
function undecodable(items: readonly CallItem[], error: unknown): CallItem | undefined {
  if (!isKafkaWorkerError(error) || error.code !== 'DESERIALIZATION') return undefined;
  const { topic, partition, offset } = error as KafkaWorkerError & TopicPartition & { readonly offset: number };
  return items.find(
    ({ received }) => received.offset === offset && received.partition === partition && received.topic === topic,
  );
}
