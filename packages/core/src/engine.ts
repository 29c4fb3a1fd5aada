import { Arrivals } from './arrivals.ts';
import { Assignment } from './assignment.ts';
import { AssignmentHooks } from './assignment-hooks.ts';
import type { ContextServices } from './call-context.ts';
import { Committer } from './committer.ts';
import type { DeliverySession } from './delivery.ts';
import { Departures } from './departures.ts';
import { Dispatcher } from './dispatcher.ts';
import { ClientError } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { UnfreezeTarget } from './freezer.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import { HandlerDeadlines } from './handler-deadlines.ts';
import { Intake } from './intake.ts';
import type { KafkaConsumer, Poll } from './kafka-client.ts';
import { isKafkaWorkerError, type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { KeptSends } from './kept-sends.ts';
import { usesLaneFunction } from './lane-rule.ts';
import { Lanes } from './lanes.ts';
import { Outcomes } from './outcomes.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { Pauses } from './pauses.ts';
import { PollSize } from './poll-size.ts';
import { Poller } from './poller.ts';
import { ProgressWatch } from './progress-watch.ts';
import { Rebalances } from './rebalances.ts';
import { Receipts } from './receipts.ts';
import type { OutgoingRecord, ReceivedRecord, TopicPartition } from './record.ts';
import { RecordViews } from './record-views.ts';
import { Repositioning } from './repositioning.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import { Restarts } from './restarts.ts';
import { StartResolver } from './start-resolver.ts';
import { startableOwners } from './startable.ts';
import { StuckHandlers } from './stuck-handlers.ts';
import type { Subscription } from './subscription.ts';
import { Suspensions } from './suspensions.ts';
import { Turns } from './turns.ts';
import { Undelivered, type WaitingRecord } from './undelivered.ts';
import { WindDown } from './wind-down.ts';

/** What an engine is made of. */
export interface EngineParts {
  readonly options: ResolvedWorkerOptions;
  readonly consumer: KafkaConsumer;
  readonly session: DeliverySession;
  readonly subscription: Subscription;
  readonly context: ContextServices;
  /** Produces a message for a record; resolves when the broker has acknowledged it, or it is kept to be written with the progress. */
  readonly write: (message: OutgoingRecord, item: CallItem) => Promise<unknown>;
  /** What handlers send, where the delivery writes it with the progress. */
  readonly keptSends: KeptSends | undefined;
  readonly events: EventListeners;
  /** The engine cannot go on: the worker is to end with this error. */
  readonly fail: (error: KafkaWorkerError) => void;
}

/**
 * A record's way from poll to commit. One loop (`turns`) owns all state; this class only wires the rooms that the record passes:
 * poller → arrivals → ledger and lanes (`#queue`) → dispatcher → outcomes → ledger (`#settle`) → committer.
 *
 * Where rooms are given their parts, what is spread comes last. An object that begins with a spread has a hidden class of its own each time it
 * is made (Node 20), and code that has seen a few of those, in a process of several workers, never gets fast again: half as fast, measured.
 */
export class Engine {
  readonly assignment: Assignment = new Assignment((owner) => this.#begun(owner));
  readonly intake: Intake;
  readonly turns: Turns;
  readonly suspensions: Suspensions;
  readonly outcomes: Outcomes;
  readonly deadlines: HandlerDeadlines;
  readonly dispatcher: Dispatcher;
  readonly committer: Committer;
  readonly rebalances: Rebalances;
  readonly hooks: AssignmentHooks;
  readonly poller: Poller;
  readonly repositioning: Repositioning;
  readonly restarts: Restarts;
  readonly progress: ProgressWatch;
  readonly windDown: WindDown;
  readonly #parts: EngineParts;
  readonly lanes: Lanes<HandlerCall>;
  readonly #pauses: Pauses;
  readonly #departures: Departures;
  readonly #arrivals: Arrivals;
  readonly #receipts: Receipts | undefined;
  readonly #undelivered: Undelivered | undefined;
  readonly #pollSize: PollSize;

  constructor(parts: EngineParts) {
    const { options, consumer, session, events, subscription } = parts;
    const { clock } = options;
    this.#parts = parts;
    this.#pollSize = new PollSize(clock.now());
    this.turns = new Turns(
      () => this.#afterTurn(),
      (error) => parts.fail(new ClientError(`the worker has a defect: ${toError(error).message}`, { cause: error })),
    );
    const { turns, assignment } = this;
    this.intake = new Intake({
      accepted: (record, owner, now) => {
        if (session.isFinished?.(record) === true) this.#finished(owner, record);
        else this.#queue(record, owner, now);
      },
      ...{ limits: options.limits, consumer, assignment, clock, logger: options.logger, turns },
    });
    const views = new RecordViews(options, usesLaneFunction(options.concurrency.lanes));
    const batching = options.batchHandler === undefined ? undefined : options.batch;
    this.lanes = new Lanes(
      options.concurrency.lanes,
      batching,
      (record) => views.of(record),
      (record) => assignment.ownerOf(record)?.isOvertaken(record.offset) === true,
    );
    const { lanes } = this;
    const laneNow = lanes.needsTime ? (): number => clock.now() : (): number => 0;
    const { intake } = this;
    const ownerOf = (record: ReceivedRecord): OwnedPartition | undefined => assignment.ownerOf(record);
    const polledAt = (): number => this.#pollSize.polledAt;
    this.suspensions = new Suspensions({
      queue: (record, owner, now) => this.#queue(record, owner, now),
      extracted: () => this.outcomes.freezer.noteExtracted(),
      ...{ lanes, intake, laneNow, ownerOf },
    });
    const { suspensions } = this;
    this.#pauses = new Pauses(assignment, suspensions);
    this.outcomes = new Outcomes({
      settle: (call, item, outcome) => this.#settle(call, item, outcome),
      isUndone: (error) => session.isUndone?.(error) === true,
      stop: parts.fail,
      ...{ options, lanes, intake, suspensions, turns, laneNow, polledAt, events, ownerOf, write: parts.write },
    });
    const { handlerTimeoutMs, stuckAfterMs } = options;
    const release = (call: HandlerCall): void => this.dispatcher.release(call);
    const stuckHandlers = new StuckHandlers({ options, events, release, fail: parts.fail });
    this.deadlines = new HandlerDeadlines({
      stuck: (call, waitedMs) => stuckHandlers.found(call, waitedMs),
      ...{ clock, turns, handlerTimeoutMs, stuckAfterMs },
    });
    this.dispatcher = new Dispatcher({
      context: parts.context,
      deadlines: this.deadlines,
      returned: (call) => this.outcomes.returned(call),
      isTimed: () => events.listensToSettled,
      ...{ options, session, lanes, turns, laneNow, views, ownerOf, polledAt, suspensions },
    });
    const { dispatcher, outcomes } = this;
    const { deadlines } = this;
    this.#departures = new Departures({
      ...{ assignment, intake, lanes, suspensions, outcomes, dispatcher, deadlines, laneNow },
    });
    const departures = this.#departures;
    const { keptSends } = parts;
    this.#undelivered =
      keptSends === undefined
        ? undefined
        : new Undelivered({
            progress: () => this.committer.noteProgress(0),
            ...{ options, keptSends, turns, events, stop: parts.fail },
            ...{ deadLetters: outcomes.deadLetters, freezer: outcomes.freezer },
          });
    keptSends?.boundBy({
      partitions: () => assignment.size,
      hold: (owner) => intake.holdKept(owner),
      release: (owner) => intake.releaseKept(owner),
      detach: ({ owner, received }) => intake.detach(owner, received),
    });
    this.committer = new Committer({
      unwritable: (sends) => this.#undelivered?.decide(sends),
      keptSends,
      owned: () => assignment,
      isIdle: () => this.intake.inFlight.records === 0,
      ...{ policy: options.commit, clock, turns, events, session, fail: parts.fail },
    });
    const { onAssigned, onRevoked, revokeDrainMs } = options;
    this.hooks = new AssignmentHooks({ onAssigned, onRevoked, clock, timeoutMs: revokeDrainMs });
    const starts = new StartResolver(options, consumer, session, subscription);
    this.rebalances = new Rebalances({
      committer: this.committer,
      forgetRestarts: (partitions) => this.restarts.forget(partitions),
      checkPositions: () => this.repositioning.check(),
      starts,
      departures,
      ...{ options, consumer, session, assignment, turns, events, fail: parts.fail, hooks: this.hooks },
    });
    this.#receipts = this.#receiptsOf(session);
    const receipts = this.#receipts;
    this.poller = new Poller({
      room: () => (this.hasRoom ? Math.min(this.intake.room(), this.#pollSize.most(this.lanes.runningCount)) : 0),
      beforeReceived: receipts === undefined ? undefined : (poll) => receipts.note(poll),
      received: (poll) => this.#receive(poll),
      isTimed: () => events.has('turned'),
      turned: (turn) => events.emit('turned', turn),
      failed: (error) =>
        parts.fail(isKafkaWorkerError(error) ? error : new ClientError('polling failed', { cause: error })),
      ...{ consumer, clock, turns },
    });
    const { committer, poller } = this;
    this.repositioning = new Repositioning({
      commitsSends: keptSends !== undefined,
      ...{ options, consumer, assignment, departures, committer, poller, turns, events, fail: parts.fail },
    });
    const { rebalances, repositioning } = this;
    this.#arrivals = new Arrivals({
      ...{ assignment, rebalances, intake, committer, repositioning, events, logger: options.logger, fail: parts.fail },
    });
    this.restarts = new Restarts({
      options,
      consumer,
      assignment,
      departures,
      starts,
      poller,
      turns,
      events,
      fail: parts.fail,
    });
    this.windDown = new WindDown({
      isReceiving: () => this.#receipts?.isUnderWay === true,
      heldOffset: (owner) => keptSends?.heldOffset(owner),
      ...{ clock, turns, assignment, lanes, dispatcher, outcomes, departures },
    });
    this.progress = new ProgressWatch({
      isRead: (owner) => this.#isRead(owner),
      isDispatching: () => !dispatcher.isExhausted,
      startable: () => startableOwners({ assignment, lanes, dispatcher, outcomes, now: laneNow() }),
      ...{ clock, turns, assignment, consumer, stallMs: options.stallMs },
    });
  }

  /** Whether the group has taken it in. */
  get isMember(): boolean {
    return this.#parts.consumer.isMember;
  }

  /** When the last poll came back, in milliseconds since the epoch. */
  get polledAt(): number {
    return this.#pollSize.polledAt;
  }

  /** Since when what is polled of it cannot be noted by the delivery, and so is not taken in. */
  refusedSince(owner: OwnedPartition): number | undefined {
    return this.#receipts?.refusedSince(owner);
  }

  /** Whether what handlers send is written with the progress, and not before. */
  get keepsSends(): boolean {
    return this.#parts.keptSends !== undefined;
  }

  /** Whether a poll may bring records now. */
  get hasRoom(): boolean {
    return this.intake.room() > 0 && this.#parts.keptSends?.isFull !== true;
  }

  /** What handlers have sent, and is not committed yet, in bytes: of a partition, or all that no more is polled for. */
  keptBytes(owner?: OwnedPartition): number {
    const { keptSends } = this.#parts;
    if (keptSends === undefined) return 0;
    if (owner !== undefined) return keptSends.bytesOf(owner);
    return keptSends.isFull ? keptSends.waitingBytes : 0;
  }

  /** Records whose messages could not be written, and that wait for the next try. */
  undelivered(): Iterable<WaitingRecord> {
    return this.#undelivered?.waiting() ?? [];
  }

  /** Nothing is tried again: what waits for that, now or later, is left. */
  stopRetries(): void {
    this.outcomes.stopRetries();
    this.#undelivered?.stop();
  }

  /** No record is taken from now on; events still are. */
  stopIntake(): void {
    this.intake.stop();
    this.repositioning.close();
    this.restarts.close();
    this.progress.close();
    this.hooks.stop();
  }

  #begun(owner: OwnedPartition): void {
    this.windDown.begun(owner);
    this.#pauses.applyTo(owner);
  }

  /** Nothing of these (or of any partition, now and later) is started or polled any more. */
  pause(partitions: readonly TopicPartition[] | undefined): void {
    this.turns.run(() => this.#pauses.pause(partitions));
  }

  resume(partitions: readonly TopicPartition[] | undefined): void {
    this.turns.run(() => this.#pauses.resume(partitions));
    this.poller.roomTaken();
    this.repositioning.check();
  }

  /** @throws IllegalStateError when nothing is frozen there */
  async unfreeze(which: UnfreezeTarget): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.turns.run(() => {
        try {
          this.outcomes.freezer.unfreeze(which);
          resolve();
        } catch (error) {
          reject(toError(error));
        }
      });
    });
    this.poller.roomTaken();
    // While it stood still, the log may have been cut where it goes on.
    this.repositioning.check();
  }

  #afterTurn(): void {
    // With no room for more records, a batch would wait in vain for some.
    if (this.lanes.needsTime && this.lanes.isFilling && !this.hasRoom)
      this.lanes.startPartBatches(this.#parts.options.clock.now());
    if (this.lanes.hasHeld) this.#departures.leaveBehindHeld();
    if (this.assignment.hasNarrowed) this.#departures.forgetLeft();
    this.dispatcher.dispatch();
    this.committer.check();
    if (this.hasRoom) this.poller.roomChanged();
    this.windDown.check();
  }

  /** Whether records of it would come, if there were any. */
  #isRead(owner: OwnedPartition): boolean {
    const comes = owner.phase === 'active' && !owner.isHeldBack && this.hasRoom;
    return comes && !this.rebalances.isUnderWay && this.refusedSince(owner) === undefined;
  }

  #receiptsOf(session: DeliverySession): Receipts | undefined {
    if (session.received === undefined) return undefined;
    const { consumer, options } = this.#parts;
    const { clock, logger } = options;
    const { assignment, intake } = this;
    return new Receipts({
      alone: (commit) => this.committer.alone(commit),
      commitsReceived: options.delivery.commitsReceived === true,
      isStopped: () => intake.isStopped,
      isDispatched: () => !this.dispatcher.isPaused,
      ...{ received: session.received.bind(session), assignment, consumer, clock, logger },
    });
  }

  #receive(poll: Poll): void {
    this.#pollSize.polled(this.#parts.options.clock.now(), this.outcomes.handled);
    this.#receipts?.taken();
    this.#arrivals.receive(poll);
  }

  #queue(record: ReceivedRecord, owner: OwnedPartition, now: number): void {
    if (record.offset >= owner.startsBelow) return;
    if (owner.isSuspended) this.suspensions.keepRecord(record, owner);
    else if (this.lanes.add(record, owner.id, now).isFrozen) this.outcomes.freezer.noteQueued(owner, record);
  }

  #settle(call: HandlerCall, item: CallItem, outcome: 'handled' | 'skipped' | 'dead-lettered'): void {
    const { keptSends, session } = this.#parts;
    keptSends?.settled(call, item, outcome);
    this.#finished(item.owner, item.received);
    if (session.isFinished?.(item.received) === false) item.owner.noteUnstored(item.received.offset);
    keptSends?.noteFinished(item.owner);
  }

  #finished(owner: OwnedPartition, received: ReceivedRecord): void {
    owner.ledger.settle(received.offset);
    this.intake.settled(owner, received);
    owner.noteFinished();
    this.committer.noteProgress(1);
  }
}
