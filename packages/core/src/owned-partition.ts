import type { PartitionProgress } from './delivery.ts';
import { LeaderEpochs } from './leader-epochs.ts';
import { Ledger } from './ledger.ts';
import { PinnedMemory } from './pinned-memory.ts';
import type { NextOffset, ReceivedRecord, TopicPartition } from './record.ts';

/**
 * Why a partition's intake is stopped. `ahead`: too much lies above its frontier. `share`: it is stuck with more than its share of what may be in flight.
 * `kept`: what its handlers have sent and cannot be committed yet is more than its share. `frozen`: a record of it has failed, and the policy said
 * freeze. `paused`: the user said so.
 */
export type HoldReason = 'ahead' | 'share' | 'kept' | SuspendReason;

/** Why nothing of a partition is started either. */
export type SuspendReason = 'frozen' | 'paused';

/** Records that wait for somebody to say that they may go on. */
export interface Aside {
  readonly records: number;
  readonly bytes: number;
}

export const NOTHING_ASIDE: Aside = { records: 0, bytes: 0 };

/**
 * A partition that is ours, in one epoch: from the assignment (or a seek) until it is released (or the next seek).
 * A result that comes back to one that has ended is dropped: this object's identity is the epoch.
 */
export class OwnedPartition implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** Unique among all partitions and epochs of a worker. */
  readonly id: number;
  readonly ledger: Ledger;
  /** Where the epoch began. */
  readonly startOffset: number;
  /** Carried on by every commit. */
  readonly commitMetadata: string;
  committedOffset: number | undefined;
  /** Handler calls under way that have a record of it. */
  runningCalls = 0;
  /** Handler calls that were ever started. */
  starts = 0;
  /** Dead letters of it that are being written. */
  #writes = 0;
  /** Of its records in flight, those that are kept for later: they take no room from others. */
  aside: Aside = NOTHING_ASIDE;
  readonly asides: Record<'suspended' | 'keys', Aside> = { suspended: NOTHING_ASIDE, keys: NOTHING_ASIDE };
  /** Of records received and not finished. */
  readonly memory: PinnedMemory = new PinnedMemory();
  /** Why its intake is stopped, if it is. */
  readonly heldBackFor: Set<HoldReason> = new Set<HoldReason>();
  /** Nothing of it is started: it is frozen or paused. Asked for every record, so a property and no look-up. */
  isSuspended = false;
  /**
   * `active`: its records are dispatched and its progress is committed periodically. `leaving`: it is being revoked: what runs may finish, nothing
   * starts but what closes its gap. `ended`: the epoch is over, nothing that still comes back counts.
   */
  phase: 'active' | 'leaving' | 'ended' = 'active';
  /** Its last commit is done, and it is about to be released: whoever commits still must leave it out, for that would come after the release. */
  isLetGo = false;
  /** Of one that leaves, or whose worker stops, only what lies below is started still: something above it was, and would be repeated. */
  startsBelow: number = Number.POSITIVE_INFINITY;
  /** What was received of it is handled before it is released. */
  isDraining = false;
  readonly #idle: (() => void)[] = [];
  readonly #finished: (() => void)[] = [];
  /** Finished above the frontier, and nothing that the delivery's store knows. */
  readonly #unstored = new Set<number>();

  readonly #leaderEpochs: LeaderEpochs;
  readonly #narrowed: () => void;

  /** @param narrowed told when less of it may be started than before */
  constructor(id: number, start: NextOffset, committedOffset: number | undefined, narrowed: () => void = () => {}) {
    this.#narrowed = narrowed;
    this.id = id;
    this.topic = start.topic;
    this.partition = start.partition;
    this.ledger = new Ledger(start.offset);
    this.startOffset = start.offset;
    this.commitMetadata = start.metadata ?? '';
    this.committedOffset = committedOffset;
    this.#leaderEpochs = new LeaderEpochs(start.offset, start.leaderEpoch);
  }

  /** It is ours, and nobody is taking it away. */
  get isStaying(): boolean {
    return this.phase === 'active' && !this.isDraining;
  }

  /** Whether a record of it closes a gap: something above it was started, and it is finished before the partition is given back. */
  isOvertaken(offset: number): boolean {
    return !this.startsAll && offset < this.startsBelow;
  }

  /** Whether every record of it that was received may be started. */
  get startsAll(): boolean {
    return this.startsBelow === Number.POSITIVE_INFINITY;
  }

  /** A record stays unfinished though its partition leaves: what is above it comes again in any case, and must not overtake it. */
  leaveOpen(offset: number): void {
    if (this.startsAll || offset >= this.startsBelow) return;
    this.startsBelow = offset;
    this.#narrowed();
    this.#checkIdle();
  }

  get isHeldBack(): boolean {
    return this.heldBackFor.size > 0;
  }

  /** What there is to commit, if anything. */
  progress(): PartitionProgress | undefined {
    if (this.isLetGo) return undefined;
    const { committedOffset } = this;
    // A delivery may have committed more than is finished, where that is what it promises.
    const offset = Math.max(this.ledger.nextOffset, committedOffset ?? 0);
    for (const one of this.#unstored) if (one < offset) this.#unstored.delete(one);
    if (this.#unstored.size > 0) return { ...this.#nextOffset(offset), finished: [...this.#unstored] };
    return offset === committedOffset ? undefined : this.#nextOffset(offset);
  }

  /** A finished record is nothing that the delivery's store knows: it is committed by itself, unless the frontier passes it before. */
  noteUnstored(offset: number): void {
    if (offset >= this.ledger.nextOffset) this.#unstored.add(offset);
  }

  /** This much of its progress is durable. */
  noteCommitted({ offset, finished = [] }: PartitionProgress): void {
    this.committedOffset = offset;
    this.#leaderEpochs.forget(offset);
    for (const one of finished) this.#unstored.delete(one);
  }

  /** What there would be to commit if these were finished too. */
  progressAfter(finished: ReadonlySet<number>): NextOffset {
    return this.#nextOffset(this.ledger.nextOffsetAfter(finished));
  }

  /** Notes a received record. False for one that was received before, or lies below the start: it is of no use. */
  receive({ offset, leaderEpoch }: ReceivedRecord): boolean {
    const { ledger } = this;
    if (offset < ledger.position) return false;
    this.#leaderEpochs.moved(ledger.position, leaderEpoch);
    ledger.receive(offset);
    return true;
  }

  /** All below a position was received; what lies between is no record. */
  advancePosition({ offset, leaderEpoch }: NextOffset): void {
    const { ledger } = this;
    if (offset <= ledger.position) return;
    this.#leaderEpochs.moved(ledger.position, leaderEpoch);
    ledger.advancePosition(offset);
  }

  callStarted(): void {
    this.runningCalls++;
    this.starts++;
  }

  callEnded(): void {
    this.runningCalls--;
    this.#checkIdle();
  }

  writeStarted(): void {
    this.#writes++;
  }

  writeEnded(): void {
    this.#writes--;
    this.#checkIdle();
  }

  /** Says how much is kept for later, because it is suspended as a whole or because of frozen keys. */
  setAside(why: 'suspended' | 'keys', aside: Aside): void {
    this.asides[why] = aside;
    const { suspended, keys } = this.asides;
    this.aside = { records: suspended.records + keys.records, bytes: suspended.bytes + keys.bytes };
    this.noteFinished();
  }

  /** Resolves when every record that was received is finished or kept for later, or nobody has to wait for that. */
  whenFinished(): Promise<void> {
    return this.#isFinished() ? Promise.resolve() : new Promise((resolve) => this.#finished.push(resolve));
  }

  /** A record of it was finished. */
  noteFinished(): void {
    this.#checkIdle();
    if (this.#finished.length > 0 && this.#isFinished()) for (const resolve of this.#finished.splice(0)) resolve();
  }

  /** The epoch is over: nobody waits for its handlers any more. */
  end(): void {
    this.phase = 'ended';
    this.startsBelow = 0;
    for (const resolve of [...this.#idle.splice(0), ...this.#finished.splice(0)]) resolve();
  }

  /** Resolves when no handler call with a record of it runs or is to be started and no dead letter is being written, or nobody has to wait for that. */
  whenIdle(): Promise<void> {
    return this.#isIdle() ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** An offset that it goes on from, with all that is committed with it. */
  #nextOffset(offset: number): NextOffset {
    const { topic, partition, commitMetadata } = this;
    const leaderEpoch = this.#leaderEpochs.before(offset);
    const isKnown = leaderEpoch !== undefined;
    return { topic, partition, offset, metadata: commitMetadata, ...(isKnown ? { leaderEpoch } : {}) };
  }

  #isFinished(): boolean {
    return this.ledger.openCount <= this.aside.records;
  }

  #isIdle(): boolean {
    const hasGap = !this.startsAll && this.ledger.nextOffset < this.startsBelow;
    return this.runningCalls === 0 && this.#writes === 0 && !hasGap;
  }

  #checkIdle(): void {
    if (this.#idle.length === 0 || !this.#isIdle()) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
