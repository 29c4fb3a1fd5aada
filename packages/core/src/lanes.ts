import type { LaneRule } from './concurrency.ts';
import { IllegalStateError } from './errors.ts';
import { Fifo } from './fifo.ts';
import { type FillingBatch, Lane, type Listing } from './lane.ts';
import type { ReceivedRecord } from './record.ts';

type LaneNode<Call> = Lane<Call> | LaneGroup<Call>;

/** Nodes that share a rule's limit: the lanes of a level, or groups with rules of their own inside. */
export class LaneGroup<Call> {
  readonly isLane = false as const;
  readonly rule: LaneRule;
  readonly parent: LaneGroup<Call> | undefined;
  readonly key: unknown;
  /** Its one child stays when it is empty: no record would get another one. */
  readonly isPermanent: boolean;
  readonly children: Map<unknown, LaneNode<Call>> = new Map<unknown, LaneNode<Call>>();
  /** Ready children that run nothing, and those that do: where active ones are limited only the latter may start. */
  readonly readyIdle: Fifo<LaneNode<Call>> = new Fifo<LaneNode<Call>>();
  readonly readyActive: Fifo<LaneNode<Call>> = new Fifo<LaneNode<Call>>();
  running = 0;
  activeChildren = 0;
  listing: Listing = 'none';

  constructor(rule: LaneRule, parent: LaneGroup<Call> | undefined, key: unknown) {
    this.rule = rule;
    this.parent = parent;
    this.key = key;
    this.isPermanent = rule.by === 'all' && (parent === undefined || parent.isPermanent);
  }
}

/** How a batch handler's calls fill; without it every call takes one record. */
export interface Batching {
  readonly maxRecords: number;
  readonly maxWaitMs: number;
}

/**
 * The scheduler: which handler call may start next. Pure: it holds queues and counts, starts nothing itself, and knows no clock.
 *
 * Every strategy is a tree of groups by its rules, with FIFO lanes as leaves. A lane is *ready* when it has something to start and a slot; ready
 * nodes wait in their parent's queues and are visited round robin. Lanes by name that are empty are removed.
 */
export class Lanes<Call> {
  readonly #root: LaneGroup<Call>;
  readonly #batching: Batching;
  /** Lanes with less than a full batch, in the order in which their time is up. */
  readonly #filling = new Fifo<FillingBatch<Call>>();
  #waitsToFill: boolean;
  #queued = 0;

  constructor(rule: LaneRule, batching: Batching = { maxRecords: 1, maxWaitMs: 0 }) {
    this.#root = new LaneGroup(rule, undefined, undefined);
    this.#batching = batching;
    this.#waitsToFill = batching.maxWaitMs > 0;
  }

  /** Records that wait in queues; calls that run or wait for a retry are not among them. */
  get queuedCount(): number {
    return this.#queued;
  }

  /** Handler calls that have started and not ended. */
  get runningCount(): number {
    return this.#root.running;
  }

  /** @param partitionId distinguishes partitions, and epochs of the same one */
  add(record: ReceivedRecord, partitionId: number, now: number): void {
    const lane = this.#laneOf(record, partitionId);
    lane.queue.push(record);
    this.#queued++;
    if (lane.queue.length === 1) this.#fill(lane, now);
    if (lane.listing === 'none') this.#listUpwards(lane, now);
  }

  /** The lane from which a call may start now, which then counts as running: take from it, and `end` it. */
  start(now: number): Lane<Call> | undefined {
    if (this.#waitsToFill) this.#listFilled(now);
    return this.#startBelow(this.#root, now);
  }

  /** The records of the call that was just started: one without batching. */
  take(lane: Lane<Call>): ReceivedRecord {
    const record = lane.queue.shift();
    if (record === undefined) throw new IllegalStateError('took from an empty lane');
    this.#queued--;
    return record;
  }

  takeBatch(lane: Lane<Call>, now: number): ReceivedRecord[] {
    this.#takeFilling(lane);
    const records: ReceivedRecord[] = [];
    const count = Math.min(this.#batching.maxRecords, lane.queue.length);
    for (let i = 0; i < count; i++) records.push(this.take(lane));
    if (lane.queue.length > 0) this.#fill(lane, now);
    return records;
  }

  /** A call that was started is over. */
  end(lane: Lane<Call>, now: number): void {
    lane.running--;
    let child: LaneNode<Call> = lane;
    let parent: LaneGroup<Call> | undefined = lane.parent;
    while (parent !== undefined) {
      if (child.running === 0) parent.activeChildren--;
      parent.running--;
      child = parent;
      parent = parent.parent;
    }
    if (lane.isEmpty()) this.#remove(lane);
    this.#listUpwards(lane, now);
  }

  /** A call that was started gives its slot back and waits, for a retry. Comes back by `unpark`. */
  park(lane: Lane<Call>, now: number): void {
    lane.parked++;
    this.end(lane, now);
  }

  /** The wait is over: the call starts again when its turn comes, or is gone if there is none. */
  unpark(lane: Lane<Call>, call: Call | undefined, now: number): void {
    lane.parked--;
    if (call !== undefined) lane.resumed.push(call);
    if (lane.isEmpty()) this.#remove(lane);
    this.#listUpwards(lane, now);
  }

  /** Takes queued records out, of a partition that is being revoked for example. Running and parked calls are the caller's. */
  extract(isTaken: (record: ReceivedRecord) => boolean): ReceivedRecord[] {
    const taken: ReceivedRecord[] = [];
    for (const lane of [...this.#lanesBelow(this.#root)]) {
      for (const record of lane.queue.extract(isTaken)) taken.push(record);
      if (lane.queue.length === 0) this.#takeFilling(lane);
      if (lane.isEmpty()) this.#remove(lane);
    }
    this.#queued -= taken.length;
    return taken;
  }

  /** Nothing more comes: batches that wait to fill start as they are, now and later. */
  stopFilling(now: number): void {
    this.#waitsToFill = false;
    this.startPartBatches(now);
  }

  /** Batches that wait to fill start as they are: waiting brings them no company. */
  startPartBatches(now: number): void {
    for (let batch = this.#filling.shift(); batch !== undefined; batch = this.#filling.shift()) {
      const { lane } = batch;
      if (lane === undefined) continue;
      lane.filling = undefined;
      this.#listUpwards(lane, now);
    }
  }

  /** When the first batch that waits to fill is due, in the clock's milliseconds. */
  get nextFillDueAt(): number | undefined {
    this.#forgetTakenBatches();
    return this.#filling.peek()?.dueAt;
  }

  #laneOf(record: ReceivedRecord, partitionId: number): Lane<Call> {
    let group = this.#root;
    for (;;) {
      const { by, inside } = group.rule;
      const key = by === 'all' ? 0 : by === 'partition' ? partitionId : `${partitionId} ${by(record)}`;
      let child = group.children.get(key);
      if (child === undefined) {
        child = 'width' in inside ? new Lane(group, key, inside.width) : new LaneGroup(inside, group, key);
        group.children.set(key, child);
      }
      if (child.isLane) return child;
      group = child;
    }
  }

  #startBelow(group: LaneGroup<Call>, now: number): Lane<Call> | undefined {
    for (;;) {
      const ready = group.readyActive.length > 0 || !this.#mayActivate(group) ? group.readyActive : group.readyIdle;
      const node = ready.shift();
      if (node === undefined) return undefined;
      // Listings are hints: what a node was listed for may be gone, or its parent may have gone idle meanwhile.
      const listedAs = node.listing;
      node.listing = 'none';
      if (!this.#isReady(node, now)) continue;
      if (listedAs === 'active' && node.running === 0 && !this.#mayActivate(group)) {
        this.#list(node);
        continue;
      }
      const wasIdle = node.running === 0;
      const lane = node.isLane ? node : this.#startBelow(node, now);
      if (lane === undefined) continue;
      if (node.isLane) node.running++;
      if (wasIdle) group.activeChildren++;
      group.running++;
      if (!node.isLane || node.width > 1) {
        if (this.#isReady(node, now)) this.#list(node);
      }
      return lane;
    }
  }

  #mayActivate(group: LaneGroup<Call>): boolean {
    return group.activeChildren < group.rule.active;
  }

  #isReady(node: LaneNode<Call>, now: number): boolean {
    if (!node.isLane) return node.readyActive.length > 0 || (node.readyIdle.length > 0 && this.#mayActivate(node));
    if (node.running >= node.width || node.isBlocked()) return false;
    return node.resumed.length > 0 || this.#isFilled(node, now);
  }

  #isFilled(lane: Lane<Call>, now: number): boolean {
    const queued = lane.queue.length;
    if (queued === 0) return false;
    if (!this.#waitsToFill || queued >= this.#batching.maxRecords) return true;
    return lane.filling === undefined || now >= lane.filling.dueAt;
  }

  /** The head of the lane's queue begins to wait for company. */
  #fill(lane: Lane<Call>, now: number): void {
    if (!this.#waitsToFill) return;
    lane.filling = { lane, dueAt: now + this.#batching.maxWaitMs };
    this.#forgetTakenBatches();
    this.#filling.push(lane.filling);
  }

  /** Lists a node that became ready with its parent, which may have become ready by that, and so on. */
  #listUpwards(node: LaneNode<Call>, now: number): void {
    let child = node;
    while (child.parent !== undefined) {
      if (child.listing === 'none' && this.#isReady(child, now)) this.#list(child);
      child = child.parent;
    }
  }

  #list(node: LaneNode<Call>): void {
    const parent = node.parent;
    if (parent === undefined) return;
    // Without a limit the two queues would only spoil the round robin.
    const isActive = node.running > 0 && parent.rule.active !== Number.POSITIVE_INFINITY;
    node.listing = isActive ? 'active' : 'idle';
    (isActive ? parent.readyActive : parent.readyIdle).push(node);
  }

  #listFilled(now: number): void {
    for (let first = this.#filling.peek(); first !== undefined && first.dueAt <= now; first = this.#filling.peek()) {
      this.#filling.shift();
      if (first.lane !== undefined) this.#listUpwards(first.lane, now);
    }
  }

  #takeFilling(lane: Lane<Call>): void {
    if (lane.filling !== undefined) lane.filling.lane = undefined;
    lane.filling = undefined;
  }

  /** Batches go in the order in which they are due, so those that are done with are looked for at the head only. */
  #forgetTakenBatches(): void {
    for (
      let first = this.#filling.peek();
      first !== undefined && first.lane === undefined;
      first = this.#filling.peek()
    ) {
      this.#filling.shift();
    }
  }

  /** Forgets an empty lane, and groups that are empty by that. A listing that is left behind finds it not ready. */
  #remove(lane: Lane<Call>): void {
    let node: LaneNode<Call> = lane;
    let parent: LaneGroup<Call> | undefined = lane.parent;
    while (parent !== undefined && !parent.isPermanent) {
      parent.children.delete(node.key);
      if (parent.children.size > 0) return;
      node = parent;
      parent = parent.parent;
    }
  }

  *#lanesBelow(group: LaneGroup<Call>): Generator<Lane<Call>> {
    for (const child of group.children.values()) {
      if (child.isLane) yield child;
      else yield* this.#lanesBelow(child);
    }
  }
}
