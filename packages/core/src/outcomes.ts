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
    drop(call, 'ended');
    if (isEmpty(call)) {
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
      drop(call, 'leaving');
      if (!isEmpty(call)) continue;
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

  #failedAsAWhole(call: HandlerCall, error: unknown): void {
    const culprit = call.items === undefined ? undefined : undecodable(call.items, error);
    const decision = this.#decide(call, culprit ?? call, error);
    if (decision.do === 'retry') {
      this.#park(call, decision.afterMs);
    } else if (decision.do === 'stop') {
      this.#stop(call, culprit ?? call, error);
    } else if (culprit !== undefined && call.items !== undefined) {
      // Only that record is at fault: the others have not been handled, and get their call without it.
      this.#skip(call, culprit, error, decision.log);
      call.items = call.items.filter((item) => item !== culprit);
      drop(call, 'leaving');
      if (isEmpty(call)) this.#parts.lanes.end(call.lane, this.#parts.laneNow());
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
    let decision: Decision;
    try {
      decision = options.onFailure.decide(failure, now);
    } catch (thrown) {
      options.logger.error('the failure policy threw, which counts as stop', {
        policy: options.onFailure.name,
        error: toError(thrown),
      });
      decision = { do: 'stop' };
    }
    if (events.has('failed')) events.emit('failed', { ...failure, decision });
    return decision;
  }

  #park(call: HandlerCall, afterMs: number): void {
    const { lanes, turns } = this.#parts;
    drop(call, 'leaving');
    if (isEmpty(call)) {
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
    call.failure = undefined;
    call.failedItems = undefined;
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

/** Takes records out of a call whose partitions have gone as far as `phase`. */
function drop(call: HandlerCall, phase: 'leaving' | 'ended'): void {
  const isDropped = ({ owner }: CallItem): boolean => owner.phase === 'ended' || owner.phase === phase;
  if (call.items === undefined) call.isDropped ||= isDropped(call);
  else if (call.items.some(isDropped)) call.items = call.items.filter((item) => !isDropped(item));
}

function isEmpty(call: HandlerCall): boolean {
  return call.items === undefined ? call.isDropped : call.items.length === 0;
}

/** The one record that a deserialization error names. */
function undecodable(items: readonly CallItem[], error: unknown): CallItem | undefined {
  if (!isKafkaWorkerError(error) || error.code !== 'DESERIALIZATION') return undefined;
  const { topic, partition, offset } = error as KafkaWorkerError & TopicPartition & { readonly offset: number };
  return items.find(
    ({ received }) => received.offset === offset && received.partition === partition && received.topic === topic,
  );
}
