import { DeadLetters } from './dead-letters.ts';
import type { EventListeners } from './events.ts';
import type { Decision } from './failure.ts';
import { Freezer } from './freezer.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import { HandlerError } from './handler-errors.ts';
import type { Intake } from './intake.ts';
import { isKafkaWorkerError, type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { Lanes } from './lanes.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { PartFailedError } from './part-failed-error.ts';
import type { OutgoingRecord, ReceivedRecord, TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import { Retries } from './retries.ts';
import type { Suspensions } from './suspensions.ts';
import type { Turns } from './turns.ts';
import { Verdicts } from './verdicts.ts';

/** What outcomes act on. */
export interface OutcomeParts {
  readonly options: ResolvedWorkerOptions;
  readonly lanes: Lanes<HandlerCall>;
  readonly intake: Intake;
  readonly suspensions: Suspensions;
  readonly turns: Turns;
  /** The time as the lanes want it. */
  readonly laneNow: () => number;
  /** When the last poll came: a time that costs nothing. */
  readonly polledAt: () => number;
  readonly events: EventListeners;
  readonly ownerOf: (record: ReceivedRecord) => OwnedPartition | undefined;
  readonly write: (message: OutgoingRecord, item: CallItem) => Promise<unknown>;
  /** A record is finished: the ledger and the limits follow. */
  readonly settle: (call: HandlerCall, item: CallItem, outcome: 'handled' | 'skipped' | 'dead-lettered') => void;
  /** Whether a call was undone for a reason of the delivery's own. */
  readonly isUndone: (error: unknown) => boolean;
  /** The policy, or the brake, said stop. */
  readonly stop: (error: KafkaWorkerError) => void;
}

/** What was undone is called again after such a wait, twice as long each time. */
const UNDONE_WAIT_MS = 50;
const MAX_UNDONE_WAIT_MS = 8_000;

/** Decides what becomes of a call that has returned, and sees to it that it is carried out: settled, repeated, written elsewhere, frozen, or the end. */
export class Outcomes {
  handled = 0;
  failed = 0;
  readonly retries: Retries;
  readonly deadLetters: DeadLetters;
  readonly freezer: Freezer;
  readonly #parts: OutcomeParts;
  readonly #verdicts: Verdicts;
  readonly #hasBrake: boolean;
  readonly #isAtomic: boolean;

  constructor(parts: OutcomeParts) {
    this.#parts = parts;
    const { options, lanes, turns, laneNow, events, suspensions, intake, ownerOf, write } = parts;
    const { clock, logger, onFailure } = options;
    this.#verdicts = new Verdicts(options, events);
    const detach = ({ owner, received }: CallItem): void => intake.detach(owner, received);
    this.retries = new Retries({ clock, lanes, turns, laneNow, detach, kept: (call) => suspensions.keep(call) });
    this.deadLetters = new DeadLetters({
      written: (call, item) => this.#settle(call, item, 'dead-lettered'),
      ...{ options, lanes, turns, laneNow, events, write, detach },
    });
    this.freezer = new Freezer({
      skipped: (call, item) => this.#settle(call, item, 'skipped'),
      ...{ lanes, intake, suspensions, events, clock, logger, laneNow, ownerOf },
    });
    this.#isAtomic = options.delivery.isAtomic === true;
    this.#hasBrake = onFailure.may === undefined || onFailure.may.includes('dead-letter');
  }

  /** Whether nothing is being written that its record waits for, nor tried again where everything received has to be handled. */
  get isQuiet(): boolean {
    if (this.deadLetters.isWriting) return false;
    const waitsForMore = this.#parts.options.delivery.commitsReceived === true && !this.retries.hasStopped;
    return !waitsForMore || (this.retries.isEmpty && this.deadLetters.isEmpty);
  }

  /** The handler has returned, and what it sent is acknowledged. */
  returned(call: HandlerCall): void {
    const { lane } = call;
    // Also when a plugin has kept it to itself: what the call did is undone all the same.
    if (this.#isAtomic && call.failedItems !== undefined)
      call.failure ??= { error: new PartFailedError(call.failedItems.size) };
    if (call.failure === undefined && call.failedItems === undefined) {
      if (call.items === undefined) this.#settle(call, call, 'handled');
      else for (const item of call.items) this.#settle(call, item, 'handled');
    } else if (call.isTakenAway) {
      this.#interrupted(call);
    } else {
      call.withdraw('ended');
      if (!call.isEmpty) this.#decide(call);
    }
    this.#parts.lanes.end(lane, this.#parts.laneNow());
  }

  /** Records of partitions that leave, or have left, wait for nothing any more. */
  dropLeaving(): void {
    this.retries.dropLeaving();
    this.deadLetters.dropLeaving();
    this.freezer.dropLeaving();
    this.#parts.suspensions.dropLeaving();
  }

  /** Nothing is tried again: what waits for that, now or later, is left. */
  stopRetries(): void {
    this.retries.stop();
    this.deadLetters.stop();
  }

  /** We have interrupted the handler: that it did not succeed is no failure of its records, and no policy is asked. */
  #interrupted(call: HandlerCall): void {
    const { lanes } = this.#parts;
    const { failure, failedItems } = call;
    if (failure === undefined && failedItems !== undefined && call.items !== undefined) {
      for (const item of call.items) if (!failedItems.has(item)) this.#settle(call, item, 'handled');
      call.items = call.items.filter((item) => failedItems.has(item));
    }
    call.withdraw('leaving');
    if (call.isEmpty) return;
    // Left: no later record of the lane may start.
    if (this.retries.hasStopped) lanes.hold(call.lane);
    else this.#again(call);
  }

  #decide(call: HandlerCall): void {
    const { failure, failedItems } = call;
    if (failure === undefined) {
      this.#failedInPart(call, failedItems ?? new Map<CallItem, unknown>());
      return;
    }
    const { error } = failure;
    if (error instanceof PartFailedError && failedItems !== undefined) {
      this.#undoneInPart(call, failedItems);
      return;
    }
    if (this.#parts.isUndone(error)) {
      this.#repeat(call, toError(error));
      return;
    }
    const culprit = call.items === undefined ? undefined : undecodable(call.items, error);
    if (culprit === undefined) {
      const decision = this.#verdicts.of(call, call.first, error, () => call.items ?? [call]);
      this.#carryOut(decision, call, call.first, error);
      return;
    }
    // Only that record is at fault: the others have not been handled, and get their call without it.
    const atFault = (decision: Decision) => heldFor(decision, call.items ?? [], culprit);
    const decision = this.#verdicts.of(call, culprit, error, atFault);
    this.#carryOut(decision, call.split(atFault(decision)), culprit, error);
    call.withdraw('ended');
    if (!call.isEmpty) this.#again(call);
  }

  #failedInPart(call: HandlerCall, failedItems: ReadonlyMap<CallItem, unknown>): void {
    const items = call.items ?? [call];
    for (const item of items) if (!failedItems.has(item)) this.#settle(call, item, 'handled');
    const again: CallItem[] = [];
    let afterMs = 0;
    for (const item of items) {
      if (!failedItems.has(item)) continue;
      const error = failedItems.get(item);
      const decision = this.#verdicts.of(call, item, error);
      if (decision.do === 'retry') {
        again.push(item);
        afterMs = Math.max(afterMs, decision.afterMs);
      } else {
        this.#carryOut(decision, call.split([item]), item, error);
      }
    }
    // One call for all that is tried again, so that they keep their order.
    if (again.length > 0) this.#retry(call.split(again), afterMs);
  }

  /** Records that failed alone are decided by themselves; the others have not been handled, for the call was undone, and get theirs without them. */
  #undoneInPart(call: HandlerCall, failedItems: ReadonlyMap<CallItem, unknown>): void {
    const again: CallItem[] = [];
    let afterMs = 0;
    for (const [item, error] of failedItems) {
      // It may stand still already, behind another one.
      if (call.items?.includes(item) !== true) continue;
      const atFault = (decision: Decision) => heldFor(decision, call.items ?? [], item);
      const decision = this.#verdicts.of(call, item, error, atFault);
      if (decision.do === 'retry') {
        again.push(item);
        afterMs = Math.max(afterMs, decision.afterMs);
      } else {
        this.#carryOut(decision, call.split(atFault(decision)), item, error);
      }
    }
    const left = again.filter((item) => call.items?.includes(item));
    if (left.length > 0) this.#retry(call.split(inOrder(call.items, left)), afterMs);
    call.withdraw('leaving');
    if (!call.isEmpty) this.#again(call);
  }

  /** Carries a decision out for all records of a call; `item` is the one that it was made for. The caller ends the call. */
  #carryOut(decision: Decision, call: HandlerCall, item: CallItem, error: unknown): void {
    switch (decision.do) {
      case 'retry':
        this.#retry(call, decision.afterMs);
        break;
      case 'skip':
        for (const one of call.items ?? [call]) this.#skip(call, one, error, decision.log);
        break;
      case 'dead-letter':
        for (const one of call.items ?? [call]) if (!this.#deadLetter(decision, call, one, error)) break;
        break;
      case 'freeze':
        if (decision.scope === 'partition') this.freezer.freezePartition(call, item, error);
        else this.freezer.freezeKey(call, item, error);
        break;
      case 'stop':
        this.#stop(call, new HandlerError(item.received, call.attempt, error));
    }
  }

  #retry(call: HandlerCall, afterMs: number): void {
    call.withdraw('leaving');
    if (!call.isEmpty) this.retries.add(call, afterMs);
  }

  /** The same attempt, later: the delivery has undone it, and its records are not known to have anything to do with that. */
  #repeat(call: HandlerCall, reason: Error): void {
    call.withdraw('leaving');
    if (call.isEmpty) return;
    const { random, logger } = this.#parts.options;
    call.undoneCount++;
    const afterMs = Math.min(MAX_UNDONE_WAIT_MS, UNDONE_WAIT_MS * 2 ** (call.undoneCount - 1)) * (0.5 + random());
    const { topic, partition, offset } = call.first.received;
    const fields = { topic, partition, offset, times: call.undoneCount, afterMs: Math.round(afterMs), error: reason };
    logger.warn('a handler call was undone by the delivery, and is made again', fields);
    this.retries.repeat(call, afterMs, reason);
  }

  /** The same attempt, at once. */
  #again(call: HandlerCall): void {
    const { lanes, turns, laneNow } = this.#parts;
    call.begin();
    lanes.hold(call.lane);
    turns.run(() => lanes.unpark(call.lane, call, laneNow()));
  }

  #skip(call: HandlerCall, item: CallItem, error: unknown, log: boolean | undefined): void {
    if (log === true) {
      const { topic, partition, offset } = item.received;
      const fields = { topic, partition, offset, attempts: call.attempt, error: toError(error) };
      this.#parts.options.logger.error('record skipped', fields);
    }
    this.#settle(call, item, 'skipped');
  }

  /** False when it ends the worker instead. */
  #deadLetter(decision: Decision & { do: 'dead-letter' }, call: HandlerCall, item: CallItem, error: unknown): boolean {
    if (item.owner.phase !== 'active') {
      item.owner.leaveOpen(item.received.offset);
      return true;
    }
    const objection = this.deadLetters.objection(item, decision.brake, error);
    if (objection === undefined) this.deadLetters.add(call, item, decision.topic, error);
    else this.#stop(call, objection);
    return objection === undefined;
  }

  #stop(call: HandlerCall, error: KafkaWorkerError): void {
    // Held for good: no later record of the lane may start.
    this.#parts.lanes.hold(call.lane);
    for (const { owner, received } of call.items ?? [call]) owner.leaveOpen(received.offset);
    this.failed++;
    this.#parts.stop(error);
  }

  #settle(call: HandlerCall, item: CallItem, outcome: 'handled' | 'skipped' | 'dead-lettered'): void {
    const { owner } = item;
    if (owner.phase === 'ended') return;
    if (outcome === 'handled') this.handled++;
    else this.failed++;
    this.#parts.settle(call, item, outcome);
    if (this.#hasBrake && outcome === 'handled') this.deadLetters.noteHandled(owner, this.#parts.polledAt());
    const { events } = this.#parts;
    if (events.listensToSettled) {
      const durationMs = this.#parts.options.clock.now() - call.startedAt;
      events.emit('settled', { record: item.record, outcome, attempts: call.attempt, durationMs });
    }
  }
}

function inOrder(items: readonly CallItem[] | undefined, some: readonly CallItem[]): readonly CallItem[] {
  return items?.filter((item) => some.includes(item)) ?? some;
}

/** What a decision about one record is carried out for: what stands still does so with what is behind it in its partition, which must not overtake it. */
function heldFor(decision: Decision, items: readonly CallItem[], culprit: CallItem): readonly CallItem[] {
  if (decision.do !== 'freeze') return [culprit];
  return items.slice(items.indexOf(culprit)).filter(({ owner }) => owner === culprit.owner);
}

/** The one record that a deserialization error names. */
function undecodable(items: readonly CallItem[], error: unknown): CallItem | undefined {
  if (!isKafkaWorkerError(error) || error.code !== 'DESERIALIZATION') return undefined;
  const { topic, partition, offset } = error as KafkaWorkerError & TopicPartition & { readonly offset: number };
  return items.find(
    ({ received }) => received.offset === offset && received.partition === partition && received.topic === topic,
  );
}
