import type { Assignment } from './assignment.ts';
import type { Clock, Timer } from './clock.ts';
import { InFlight } from './in-flight.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import type { Logger } from './logger.ts';
import {
  type Aside,
  type HoldReason,
  NOTHING_ASIDE,
  type OwnedPartition,
  type SuspendReason,
} from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';
import { Shares } from './shares.ts';
import type { Turns } from './turns.ts';

/** What was held back goes on when it has come down to this part of its bound. */
const RELEASE_AT = 0.7;
/** While nothing can be polled, it is looked this often whether one partition keeps the others from their records. */
const LOOK_MS = 1_000;

/** The limits of a worker. */
interface IntakeLimits {
  readonly inFlightRecords: number;
  readonly inFlightBytes: number;
  readonly aheadOfFrontier: number;
}

/** What the intake works with. */
export interface IntakeParts {
  readonly limits: IntakeLimits;
  readonly consumer: KafkaConsumer;
  readonly assignment: Assignment;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly turns: Turns;
  /** A record is in: it waits in its lane from now on. */
  readonly accepted: (record: ReceivedRecord, owner: OwnedPartition, now: number) => void;
}

/**
 * How much is polled: the bounds on what is in flight, and on what lies above a partition's frontier.
 *
 * A partition that is stuck (its frontier does not move) must not take the whole buffer: when nothing can be polled any more, one that has more than
 * its share is held back, and what it has beyond that is not counted. As long as that is so, no other partition gets more than its share either, so
 * in all there is never more than twice the limit.
 */
export class Intake {
  readonly inFlight: InFlight;
  readonly #parts: IntakeParts;
  readonly #shares: Shares;
  /** Frontiers at the last look. */
  #frontiers = new Map<OwnedPartition, number>();
  #look: Timer | undefined;
  #isStopped = false;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    const { limits, assignment } = parts;
    this.inFlight = new InFlight(limits);
    this.#shares = new Shares({ limits, assignment, inFlight: this.inFlight });
  }

  /** How many records may be polled now. */
  room(): number {
    if (this.#isStopped) return 0;
    const room = this.inFlight.room();
    if (room === 0) this.#lookSoon();
    return room;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** No record is polled from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#look?.clear();
  }

  /** Takes polled records in; those of partitions that are not ours, or that were taken before, are of no use. The bytes of the records taken. */
  receive(records: readonly ReceivedRecord[]): number {
    const { assignment, accepted, clock, limits } = this.#parts;
    const now = clock.now();
    let bytes = 0;
    let largest = 0;
    let taken = 0;
    let pinned = 0;
    for (const record of records) {
      const owner = assignment.ownerOf(record);
      if (owner === undefined || owner.phase !== 'active' || !owner.receive(record)) continue;
      const added = owner.memory.add(record);
      const sizeBytes = record.shared === undefined ? added : record.sizeBytes;
      this.inFlight.add(added);
      taken++;
      pinned += added;
      bytes += sizeBytes;
      if (sizeBytes > largest) largest = sizeBytes;
      accepted(record, owner, now);
      if (owner.ledger.aheadCount >= limits.aheadOfFrontier || this.#isAheadBy(owner, 1)) this.#hold(owner, 'ahead');
      if (this.#shares.areKept && this.#shares.isOverdrawn(owner, 1)) this.#overdraw(owner);
    }
    this.inFlight.polled(largest, pinned / taken);
    return bytes;
  }

  /** A record is finished. */
  settled(owner: OwnedPartition, record: ReceivedRecord): void {
    this.inFlight.remove(1, owner.memory.remove(record));
    if (!owner.isHeldBack) return;
    this.#releaseIfFew(owner);
  }

  /** A record in flight is kept for long, and no handler has it: it keeps its own bytes only from now on, not all that came with it. */
  detach(owner: OwnedPartition, record: ReceivedRecord): void {
    if (record.shared === undefined || owner.phase === 'ended') return;
    this.inFlight.remove(0, owner.memory.detach(record));
    if (owner.isHeldBack) this.#releaseIfFew(owner);
  }

  /** Nothing more of a partition is polled, until this reason and every other one is gone. */
  suspend(owner: OwnedPartition, reason: SuspendReason): void {
    this.#hold(owner, reason);
  }

  /** True when the partition is polled again. */
  unsuspend(owner: OwnedPartition, reason: SuspendReason): boolean {
    return this.#release(owner, reason);
  }

  /** What its handlers have sent and cannot be committed yet is too much. */
  holdKept(owner: OwnedPartition): void {
    this.#hold(owner, 'kept');
  }

  releaseKept(owner: OwnedPartition): void {
    this.#release(owner, 'kept');
  }

  /** So much of what a partition has in flight is kept for later. */
  setAside(owner: OwnedPartition, why: 'suspended' | 'keys', aside: Aside): void {
    this.#shares.setAside(owner, why, aside);
    if (owner.isHeldBack && owner.phase !== 'ended') this.#releaseIfFew(owner);
  }

  /** A partition's epoch is over. */
  ended(owner: OwnedPartition): void {
    this.#shares.setAside(owner, 'suspended', NOTHING_ASIDE);
    this.#shares.setAside(owner, 'keys', NOTHING_ASIDE);
    this.inFlight.remove(owner.ledger.openCount, owner.memory.bytes);
    this.#shares.unforgive(owner);
    this.#frontiers.delete(owner);
  }

  /** Whether so much waits behind frozen keys that the partition must take no more, however few records it is. */
  #isAheadBy({ aside }: OwnedPartition, part: number): boolean {
    return aside.bytes > this.#parts.limits.inFlightBytes * part;
  }

  /** What was held back goes on when there is little enough of it. */
  #releaseIfFew(owner: OwnedPartition): void {
    const mostAhead = this.#parts.limits.aheadOfFrontier * RELEASE_AT;
    if (owner.ledger.aheadCount <= mostAhead && !this.#isAheadBy(owner, RELEASE_AT)) this.#release(owner, 'ahead');
    if (!this.#shares.isForgiven(owner)) return;
    this.#shares.forgive(owner);
    if (!this.#shares.isOverdrawn(owner, RELEASE_AT)) this.#release(owner, 'share');
  }

  #lookSoon(): void {
    if (this.#look !== undefined || this.#parts.assignment.size < 2) return;
    this.#look = this.#parts.clock.setTimeout(() => {
      this.#look = undefined;
      this.#parts.turns.run(() => this.#lookForStuck());
    }, LOOK_MS);
  }

  #lookForStuck(): void {
    if (this.inFlight.room() > 0) {
      this.#frontiers.clear();
      return;
    }
    const before = this.#frontiers;
    this.#frontiers = new Map();
    for (const owner of this.#parts.assignment) {
      const { nextOffset } = owner.ledger;
      this.#frontiers.set(owner, nextOffset);
      if (
        before.get(owner) === nextOffset &&
        owner.phase === 'active' &&
        !owner.isSuspended &&
        this.#shares.isOverdrawn(owner, 1)
      )
        this.#overdraw(owner);
    }
  }

  #overdraw(owner: OwnedPartition): void {
    this.#hold(owner, 'share');
    this.#shares.forgive(owner);
  }

  #hold(owner: OwnedPartition, reason: HoldReason): void {
    if (owner.heldBackFor.has(reason)) return;
    if (!owner.isHeldBack) this.#parts.consumer.pause([owner]);
    owner.heldBackFor.add(reason);
    noteSuspended(owner);
    if (reason === 'frozen' || reason === 'paused') return;
    const { topic, partition, ledger } = owner;
    this.#parts.logger.warn('a partition is held back: too many of its records wait for one that is not finished', {
      ...{
        topic,
        partition,
        reason,
        blockedByOffset: ledger.nextOffset,
        inFlight: ledger.openCount,
        ahead: ledger.aheadCount,
      },
    });
  }

  /** True when nothing holds the partition back any more. */
  #release(owner: OwnedPartition, reason: HoldReason): boolean {
    if (reason === 'share') this.#shares.unforgive(owner);
    const wasHeld = owner.heldBackFor.delete(reason);
    noteSuspended(owner);
    if (!wasHeld || owner.isHeldBack || owner.phase !== 'active') return false;
    this.#parts.consumer.resume([owner]);
    return true;
  }
}

function noteSuspended(owner: OwnedPartition): void {
  owner.isSuspended = owner.heldBackFor.has('frozen') || owner.heldBackFor.has('paused');
}
