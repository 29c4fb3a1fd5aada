import { Ledger } from './ledger.ts';
import type { NextOffset, TopicPartition } from './record.ts';

/** `ahead`: too much lies above its frontier. `share`: it is stuck with more than its share of what may be in flight. */
export type HoldReason = 'ahead' | 'share';

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
  /** Carried on by every commit. */
  readonly commitMetadata: string;
  committedOffset: number | undefined;
  /** Handler calls under way that have a record of it. */
  runningCalls = 0;
  /** Of records received and not finished. */
  inFlightBytes = 0;
  /** Why its intake is stopped, if it is. */
  readonly heldBackFor: Set<HoldReason> = new Set<HoldReason>();
  /**
   * `active`: its records are dispatched and its progress is committed periodically. `leaving`: it is being revoked: what runs may finish, nothing
   * starts. `ended`: the epoch is over, nothing that still comes back counts.
   */
  phase: 'active' | 'leaving' | 'ended' = 'active';
  readonly #idle: (() => void)[] = [];

  constructor(id: number, start: NextOffset, committedOffset: number | undefined) {
    this.id = id;
    this.topic = start.topic;
    this.partition = start.partition;
    this.ledger = new Ledger(start.offset);
    this.commitMetadata = start.metadata ?? '';
    this.committedOffset = committedOffset;
  }

  get isHeldBack(): boolean {
    return this.heldBackFor.size > 0;
  }

  /** What there is to commit, if anything. */
  progress(): NextOffset | undefined {
    const { topic, partition, commitMetadata, committedOffset } = this;
    const offset = this.ledger.nextOffset;
    return offset === committedOffset ? undefined : { topic, partition, offset, metadata: commitMetadata };
  }

  /** Notes a received record. False for one that was received before, or lies below the start: it is of no use. */
  receive(offset: number, bytes: number): boolean {
    if (offset < this.ledger.position) return false;
    this.ledger.receive(offset);
    this.inFlightBytes += bytes;
    return true;
  }

  callStarted(): void {
    this.runningCalls++;
  }

  callEnded(): void {
    if (--this.runningCalls > 0 || this.#idle.length === 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** The epoch is over: nobody waits for its handlers any more. */
  end(): void {
    this.phase = 'ended';
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Resolves when no handler call with a record of it runs, or nobody has to wait for one. */
  whenIdle(): Promise<void> {
    return this.runningCalls === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}
