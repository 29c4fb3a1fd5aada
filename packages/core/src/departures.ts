import type { Assignment } from './assignment.ts';
import type { Dispatcher } from './dispatcher.ts';
import { gapEndOf } from './gap.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { HandlerDeadlines } from './handler-deadlines.ts';
import type { Intake } from './intake.ts';
import type { Lanes } from './lanes.ts';
import type { Outcomes } from './outcomes.ts';
import { type Aside, NOTHING_ASIDE, type OwnedPartition } from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';
import { blockedLanes } from './startable.ts';
import type { Suspensions } from './suspensions.ts';

/** What departures act on. */
export interface DepartureParts {
  readonly assignment: Assignment;
  readonly intake: Intake;
  readonly lanes: Lanes<HandlerCall>;
  readonly suspensions: Suspensions;
  readonly outcomes: Outcomes;
  readonly dispatcher: Dispatcher;
  readonly deadlines: HandlerDeadlines;
  /** The time as the lanes want it. */
  readonly laneNow: () => number;
}

/** What becomes of a partition's records when it goes: everywhere at once, so that nothing of it is left behind. */
export class Departures {
  readonly #parts: DepartureParts;

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /** Nothing of these starts any more but what closes a gap; what runs goes on. */
  leave(partitions: readonly OwnedPartition[]): void {
    const leaving = partitions.filter(({ phase }) => phase === 'active');
    for (const owned of leaving) owned.phase = 'leaving';
    // What waits for something else is dropped first, so that no gap is thought to end behind it.
    this.#dropLeaving();
    for (const [owned, left] of this.finishGaps(leaving)) this.#setAside(owned, left);
  }

  /**
   * Of what these have in their lanes, only that is started from now on which something above has overtaken: it would keep that from being committed.
   * Gives what is not started.
   */
  finishGaps(partitions: readonly OwnedPartition[]): ReadonlyMap<OwnedPartition, readonly ReceivedRecord[]> {
    const { lanes, assignment, laneNow, dispatcher } = this.#parts;
    const queued = new Map<OwnedPartition, Set<number>>();
    for (const owned of partitions) if (owned.startsAll) queued.set(owned, new Set());
    if (queued.size === 0) return new Map();
    const blocked = blockedLanes(this.#parts.outcomes, ({ isWriting }) => !isWriting);
    for (const record of lanes.queued((lane) => !lane.isOrdered || !blocked.has(lane)))
      queued.get(assignment.ownerOf(record) as OwnedPartition)?.add(record.offset);
    const running = this.#runningOffsets();
    for (const [owned, offsets] of queued) {
      // What counts as committed already has been drained, as far as there was time; and where nothing is started, no gap is closed.
      const isTooLate = owned.isDraining || dispatcher.isPaused;
      owned.startsBelow = isTooLate ? 0 : gapEndOf(owned.ledger, offsets, running.get(owned) ?? new Set());
    }
    const left = this.#extractLeft();
    lanes.startPartBatches(laneNow(), (record) => assignment.ownerOf(record)?.isOvertaken(record.offset) === true);
    return left;
  }

  /** The time for closing gaps is over: nothing of these starts any more. */
  leaveGaps(partitions: readonly OwnedPartition[]): void {
    for (const owned of partitions) owned.leaveOpen(0);
    this.forgetLeft();
  }

  /**
   * What is queued behind something that waits for more than a free slot since a moment ago, a retry of another partition's record say, is not waited for
   * either: gaps end at it.
   */
  leaveBehindHeld(): void {
    const { lanes, assignment, outcomes } = this.#parts;
    lanes.hasHeld = false;
    let hasGaps = false;
    for (const { startsAll, ledger, startsBelow } of assignment)
      hasGaps ||= !startsAll && ledger.nextOffset < startsBelow;
    if (!hasGaps) return;
    const blocked = blockedLanes(outcomes, ({ isWriting }) => !isWriting);
    for (const record of lanes.queued((lane) => lane.isOrdered && blocked.has(lane)))
      assignment.ownerOf(record)?.leaveOpen(record.offset);
  }

  /** What is not to be started any more, since a gap ends sooner than it was thought to, leaves the lanes. */
  forgetLeft(): void {
    const { assignment } = this.#parts;
    assignment.hasNarrowed = false;
    for (const [owned, records] of this.#extractLeft())
      if (owned.phase === 'leaving') this.#setAside(owned, records, owned.asides.suspended);
  }

  #extractLeft(): ReadonlyMap<OwnedPartition, readonly ReceivedRecord[]> {
    const { lanes, assignment, outcomes } = this.#parts;
    const left = new Map<OwnedPartition, ReceivedRecord[]>();
    for (const record of lanes.extract((one) => one.offset >= (assignment.ownerOf(one)?.startsBelow ?? 0))) {
      const owned = assignment.ownerOf(record);
      if (owned === undefined) continue;
      const own = left.get(owned) ?? [];
      own.push(record);
      left.set(owned, own);
    }
    outcomes.freezer.noteExtracted();
    return left;
  }

  /** Nobody waits for these any more, so they take no room from partitions that stay. */
  #setAside(owned: OwnedPartition, records: readonly ReceivedRecord[], before: Aside = NOTHING_ASIDE): void {
    const { intake } = this.#parts;
    for (const record of records) intake.detach(owned, record);
    const bytes = records.reduce((sum, { sizeBytes }) => sum + sizeBytes, before.bytes);
    intake.setAside(owned, 'suspended', { records: before.records + records.length, bytes });
  }

  /** Of handlers that run, and of dead letters that are being written. */
  #runningOffsets(): Map<OwnedPartition, Set<number>> {
    const { dispatcher, outcomes } = this.#parts;
    const offsets = new Map<OwnedPartition, Set<number>>();
    const add = ({ owner, received }: CallItem): void => {
      const own = offsets.get(owner) ?? new Set();
      offsets.set(owner, own.add(received.offset));
    };
    for (const call of dispatcher.running()) for (const item of call.items ?? [call]) add(item);
    for (const { item, isWriting } of outcomes.deadLetters.pending()) if (isWriting) add(item);
    return offsets;
  }

  /** What was received of these is finished before they leave. */
  drain(partitions: readonly OwnedPartition[]): void {
    for (const owned of partitions) {
      owned.isDraining = true;
      this.#parts.suspensions.release(owned, 'paused');
    }
  }

  /** Their epochs are over. */
  end(partitions: readonly OwnedPartition[]): void {
    const { intake, assignment } = this.#parts;
    for (const owned of partitions) {
      if (owned.phase === 'ended') continue;
      intake.ended(owned);
      assignment.end(owned);
    }
    this.#forgetEnded();
  }

  /** Handlers that run with a record of these are asked to return. */
  abort(partitions: readonly OwnedPartition[], reason: Error): void {
    const { dispatcher, deadlines } = this.#parts;
    for (const call of [...dispatcher.running()]) {
      if (!call.owners().some((owner) => partitions.includes(owner))) continue;
      call.abort(reason);
      deadlines.aborted(call);
    }
  }

  /** Records of epochs that are over leave the lanes, and whatever else they wait in. */
  #forgetEnded(): void {
    const { lanes, assignment } = this.#parts;
    lanes.extract((record) => assignment.ownerOf(record) === undefined);
    this.#dropLeaving();
  }

  /** What waits for something else than its first turn: a retry that is due waits in its lane, and would end the turns of others. */
  #dropLeaving(): void {
    const { lanes, outcomes } = this.#parts;
    outcomes.dropLeaving();
    lanes.extractResumed((call) => {
      call.withdraw('leaving');
      return call.isEmpty;
    });
  }
}
