import { BatchFilling, type Batching, singleRecords } from './batch-filling.ts';
import type { LaneRule } from './concurrency.ts';
import { IllegalStateError } from './errors.ts';
import type { Fifo } from './fifo.ts';
import type { Lane } from './lane.ts';
import type { LaneGroup, LaneNode } from './lane-group.ts';
import { withTurns } from './lane-rule.ts';
import { deactivate, LaneTree } from './lane-tree.ts';
import type { KafkaRecord, ReceivedRecord } from './record.ts';
import { StartRate } from './start-rate.ts';

/**
 * The scheduler: which handler call may start next. Pure: it holds queues and counts, starts nothing itself, and knows no clock.
 *
 * Every strategy is a tree of groups by its rules, with FIFO lanes as leaves. A lane is *ready* when it has something to start and a slot; ready
 * nodes wait in their parent's queues and are visited round robin. Where a group's active children are limited, a child with rules inside keeps its
 * place for a turn, then waits for the next one behind the others, and ends what runs meanwhile. Lanes that are empty are removed.
 */
export class Lanes<Call> {
  readonly #tree: LaneTree<Call>;
  readonly #root: LaneGroup<Call>;
  readonly #filling: BatchFilling<Call>;
  readonly #rate: StartRate | undefined;
  readonly #hasTurns: boolean;
  readonly #countsBytes: boolean;
  /** Whether it has to be told the time: asking for it costs as much as a short handler. */
  readonly needsTime: boolean;
  #queued = 0;
  #now = 0;

  /** @param viewOf the record as a lane function of the user's sees it */
  constructor(
    givenRule: LaneRule,
    batching: Batching = singleRecords,
    viewOf: (record: ReceivedRecord) => KafkaRecord<unknown, unknown> = (record) => record,
  ) {
    const rule = withTurns(givenRule);
    this.#tree = new LaneTree(rule, viewOf);
    this.#root = this.#tree.root;
    this.#filling = new BatchFilling(batching);
    const { startsPerSecond } = rule;
    this.#rate =
      startsPerSecond === undefined || startsPerSecond === Number.POSITIVE_INFINITY
        ? undefined
        : new StartRate(startsPerSecond);
    this.#hasTurns = hasTurns(rule);
    this.#countsBytes = this.#filling.maxBytes !== Number.POSITIVE_INFINITY;
    this.needsTime = this.#hasTurns || this.#rate !== undefined || this.#filling.isWaiting;
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
  add(record: ReceivedRecord, partitionId: number, now: number): Lane<Call> {
    const lane = this.#tree.laneOf(record, partitionId);
    lane.queue.push(record);
    if (this.#countsBytes) lane.queuedBytes += record.sizeBytes;
    this.#queued++;
    if (lane.queue.length === 1) this.#filling.begin(lane, now);
    if (lane.listing === 'none') this.#listUpwards(lane, now);
    return lane;
  }

  /** The lane from which a call may start now, which then counts as running: take from it, and `end` it. */
  start(now: number): Lane<Call> | undefined {
    this.#now = now;
    if (this.#filling.isWaiting) for (const lane of this.#filling.due(now)) this.#listUpwards(lane, now);
    if (this.#rate !== undefined && this.#rate.dueAt > now) return undefined;
    if (this.#root.running >= this.#root.maxCalls) return undefined;
    const lane = this.#startBelow(this.#root, now);
    if (lane !== undefined) this.#rate?.started(now);
    return lane;
  }

  /** The records of the call that was just started: one without batching. */
  take(lane: Lane<Call>): ReceivedRecord {
    const record = lane.queue.shift();
    if (record === undefined) throw new IllegalStateError('took from an empty lane');
    if (this.#countsBytes) lane.queuedBytes -= record.sizeBytes;
    this.#queued--;
    return record;
  }

  takeBatch(lane: Lane<Call>, now: number): ReceivedRecord[] {
    this.#filling.end(lane);
    const { maxRecords, maxBytes } = this.#filling;
    const first = this.take(lane);
    const records = [first];
    // Records without a lane fail one by one.
    const most = lane.countsCalls && lane.name === undefined ? 1 : maxRecords;
    let bytes = this.#countsBytes ? first.sizeBytes : 0;
    for (let next = lane.queue.peek(); next !== undefined && records.length < most; next = lane.queue.peek()) {
      if (this.#countsBytes) {
        bytes += next.sizeBytes;
        if (bytes > maxBytes) break;
      }
      records.push(this.take(lane));
    }
    if (lane.queue.length > 0) this.#filling.begin(lane, now);
    if (this.#hasTurns)
      for (let group = parentOf(lane); group !== undefined; group = parentOf(group))
        group.noteStarted(records.length - 1);
    return records;
  }

  /** What the lane function threw for a record that was taken: the record has failed by that. */
  takeLaneError(record: ReceivedRecord): { readonly error: unknown } | undefined {
    return this.#tree.takeError(record);
  }

  /** A call that was started is over. */
  end(lane: Lane<Call>, now: number): void {
    lane.running--;
    if (lane.isEmpty()) this.#tree.remove(lane);
    let child: LaneNode<Call> = lane;
    for (let parent = parentOf(child); parent !== undefined; parent = parentOf(child)) {
      parent.running--;
      if (child.isLane && child.countsCalls) parent.activeChildren--;
      else if (child.running === 0) this.#leavePlace(child, now);
      if (child.listing === 'none' && this.#isReady(child, now)) this.#list(child);
      child = parent;
    }
  }

  /** A call that was started gives its slot back and waits, for a retry. Comes back by `unpark`. */
  park(lane: Lane<Call>, now: number): void {
    this.hold(lane);
    this.end(lane, now);
  }

  /** Something of a call that runs has to wait, for a dead letter to be written say: an ordered lane is blocked until it is unparked. */
  hold(lane: Lane<Call>): void {
    lane.parked++;
  }

  /** The wait is over: the call starts again when its turn comes, or is gone if there is none. */
  unpark(lane: Lane<Call>, call: Call | undefined, now: number): void {
    lane.parked--;
    if (call !== undefined) lane.resumed.push(call);
    if (lane.isEmpty()) this.#tree.remove(lane);
    this.#listUpwards(lane, now);
  }

  /** A call that was taken out of the lanes comes back, ahead of what is queued in its record's lane. */
  resume(call: Call, record: ReceivedRecord, partitionId: number, now: number): Lane<Call> {
    const lane = this.#tree.laneOf(record, partitionId);
    lane.resumed.push(call);
    this.#listUpwards(lane, now);
    return lane;
  }

  /** Takes queued records out, of a partition that is being revoked for example. Running and parked calls are the caller's. */
  extract(isTaken: (record: ReceivedRecord) => boolean): ReceivedRecord[] {
    const taken: ReceivedRecord[] = [];
    for (const lane of [...this.#tree.lanes()]) {
      for (const record of lane.queue.extract(isTaken)) {
        if (this.#countsBytes) lane.queuedBytes -= record.sizeBytes;
        this.#tree.takeError(record);
        taken.push(record);
      }
      if (lane.queue.length === 0) this.#filling.end(lane);
      this.#emptied(lane);
    }
    this.#queued -= taken.length;
    return taken;
  }

  /** Takes out calls that are due again and wait for a slot. */
  extractResumed(isTaken: (call: Call) => boolean): Call[] {
    const taken: Call[] = [];
    for (const lane of [...this.#tree.lanes()]) {
      if (lane.resumed.length === 0) continue;
      const all = lane.resumed.splice(0);
      for (const call of all) (isTaken(call) ? taken : lane.resumed).push(call);
      this.#emptied(lane);
    }
    return taken;
  }

  /** Something was taken out of a lane: others may wait for it in vain. */
  #emptied(lane: Lane<Call>): void {
    if (lane.isEmpty()) this.#tree.remove(lane);
    this.#listUpwards(lane, this.#now);
  }

  /** Nothing more comes: batches that wait to fill start as they are, now and later. */
  stopFilling(now: number): void {
    this.#filling.stopWaiting();
    this.startPartBatches(now);
  }

  /** Batches that wait to fill start as they are: waiting brings them no company. */
  startPartBatches(now: number): void {
    for (const lane of this.#filling.releaseAll()) this.#listUpwards(lane, now);
  }

  /** Whether a batch waits to fill. */
  get isFilling(): boolean {
    return this.#filling.nextDueAt !== undefined;
  }

  /** When something may start that only waits for the time to come, in the clock's milliseconds. */
  get nextDueAt(): number | undefined {
    const filledAt = this.#filling.nextDueAt;
    const isHeldByRate =
      this.#rate !== undefined && this.#root.running < this.#root.maxCalls && this.#isReady(this.#root, this.#now);
    if (this.#rate === undefined || !isHeldByRate) return filledAt;
    return filledAt === undefined ? this.#rate.dueAt : Math.min(filledAt, this.#rate.dueAt);
  }

  #startBelow(group: LaneGroup<Call>, now: number): Lane<Call> | undefined {
    for (;;) {
      const node = this.#queueToServe(group, now).shift();
      if (node === undefined) return undefined;
      const wasListedAs = node.listing;
      node.listing = 'none';
      if (!this.#isReady(node, now)) {
        if (node.running === 0) deactivate(node);
        continue;
      }
      // It has given its place up meanwhile: it waits like the others.
      if (wasListedAs === 'active' && !node.isActive && (group.readyIdle.length > 0 || !group.mayActivate())) {
        this.#list(node);
        continue;
      }
      if (!node.isLane && node.isYielding) node.beginTurn(now);
      else if (!node.isLane && node.isActive && this.#mustYield(node, group, now)) continue;
      const lane = node.isLane ? node : this.#startBelow(node, now);
      if (lane === undefined) {
        if (node.running === 0) deactivate(node);
        continue;
      }
      this.#started(node, group, now);
      return lane;
    }
  }

  #started(node: LaneNode<Call>, group: LaneGroup<Call>, now: number): void {
    group.running++;
    if (node.isLane) node.running++;
    if (node.isLane && node.countsCalls) {
      group.activeChildren++;
    } else if (!node.isActive) {
      node.isActive = true;
      group.activeChildren++;
      if (!node.isLane) node.beginTurn(now);
    }
    if (!node.isLane) node.noteStarted(1);
    if ((!node.isLane || node.width > 1) && this.#isReady(node, now)) this.#list(node);
  }

  /** Whether an active child's turn is over and another one waits: then it waits behind it, and leaves its place when nothing of it runs. */
  #mustYield(node: LaneGroup<Call>, group: LaneGroup<Call>, now: number): boolean {
    if (!node.hasTurns || node.isInTurn(now) || group.mayActivate()) return false;
    const first = this.#first(group.readyIdle, now);
    if (first === undefined || (isYielding(first) && group.readyIdle.length === 1)) return false;
    if (node.running === 0) deactivate(node);
    else node.isYielding = true;
    this.#list(node);
    return true;
  }

  /** The first that is really ready. Listings are hints: what a node was listed for may be gone, taken or extracted. */
  #first(queue: Fifo<LaneNode<Call>>, now: number): LaneNode<Call> | undefined {
    let first = queue.peek();
    for (; first !== undefined && !this.#isReady(first, now); first = queue.peek()) {
      queue.shift();
      first.listing = 'none';
      if (first.running === 0) deactivate(first);
    }
    return first;
  }

  /** Whether the first of `readyIdle` may start: there is a place for it, or it has not left its own yet. */
  #mayServeIdle(group: LaneGroup<Call>, now: number): boolean {
    if (group.readyIdle.length === 0) return false;
    // Where no turns are kept, a listing that is out of date makes a group ready that is not, and nothing worse.
    if (!this.#hasTurns || !group.hasGroups) return group.mayActivate();
    const first = this.#first(group.readyIdle, now);
    return first !== undefined && (group.mayActivate() || isYielding(first));
  }

  /** Which of a group's queues is served next: where both may start, they take turns. */
  #queueToServe(group: LaneGroup<Call>, now: number): LaneGroup<Call>['readyIdle'] {
    const { readyActive, readyIdle } = group;
    if (!this.#mayServeIdle(group, now)) return readyActive;
    if (readyActive.length === 0) return readyIdle;
    group.wasActiveServed = !group.wasActiveServed;
    return group.wasActiveServed ? readyActive : readyIdle;
  }

  /** Nothing of a child runs: it keeps its place only if it is in its turn and has more to start. */
  #leavePlace(child: LaneNode<Call>, now: number): void {
    if (!child.isLane && !child.isYielding && child.isInTurn(now) && this.#isReady(child, now)) return;
    deactivate(child);
  }

  #isReady(node: LaneNode<Call>, now: number): boolean {
    if (!node.isLane) {
      if (node.running >= node.maxCalls) return false;
      const hasTurns = this.#hasTurns;
      if (hasTurns ? this.#first(node.readyActive, now) !== undefined : node.readyActive.length > 0) return true;
      if (hasTurns && this.#first(node.readyIdle, now) === undefined) return false;
      return this.#mayServeIdle(node, now);
    }
    if (node.running >= node.width || node.isBlocked()) return false;
    return node.resumed.length > 0 || this.#filling.isFilled(node, now);
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
    const { parent } = node;
    if (parent === undefined) return;
    // Without a limit the two queues would only spoil the round robin.
    const isActive = node.isActive && !isYielding(node) && parent.rule.active !== Number.POSITIVE_INFINITY;
    node.listing = isActive ? 'active' : 'idle';
    (isActive ? parent.readyActive : parent.readyIdle).push(node);
  }
}

function isYielding<Call>(node: LaneNode<Call> | undefined): boolean {
  return node !== undefined && !node.isLane && node.isYielding;
}

function parentOf<Call>(node: LaneNode<Call>): LaneGroup<Call> | undefined {
  return node.parent;
}

function hasTurns({ active, inside }: LaneRule): boolean {
  if ('width' in inside) return false;
  return active !== Number.POSITIVE_INFINITY || hasTurns(inside);
}
