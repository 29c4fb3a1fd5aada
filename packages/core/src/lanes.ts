import { BatchFilling, type Batching, singleRecords } from './batch-filling.ts';
import type { LaneRule } from './concurrency.ts';
import { IllegalStateError } from './errors.ts';
import type { Lane } from './lane.ts';
import type { LaneGroup, LaneNode } from './lane-group.ts';
import { withTurns } from './lane-rule.ts';
import { LaneTree } from './lane-tree.ts';
import type { KafkaRecord, ReceivedRecord } from './record.ts';
import { StartRate } from './start-rate.ts';
import { TurnTaking } from './turn-taking.ts';

/**
 * The scheduler: which handler call may start next. Pure: it holds queues and counts, starts nothing itself, and knows no clock.
 *
 * Every strategy is a tree of groups by its rules (`lane-tree.ts`), with FIFO lanes as leaves; who starts next is `turn-taking.ts`. Lanes that are
 * empty are removed.
 */
export class Lanes<Call> {
  readonly #tree: LaneTree<Call>;
  readonly #root: LaneGroup<Call>;
  readonly #filling: BatchFilling<Call>;
  readonly #turns: TurnTaking<Call>;
  readonly #rate: StartRate | undefined;
  readonly #hasTurns: boolean;
  readonly #countsBytes: boolean;
  /** Whether it has to be told the time: asking for it costs as much as a short handler. */
  readonly needsTime: boolean;
  /** Something was held since whoever asks has set it to false. */
  hasHeld = false;
  #queued = 0;
  #now = 0;

  /**
   * @param viewOf the record as a lane function of the user's sees it
   * @param isUrgent whether a batch that begins with the record is not to wait for more
   */
  constructor(
    givenRule: LaneRule,
    batching: Batching = singleRecords,
    viewOf: (record: ReceivedRecord) => KafkaRecord<unknown, unknown> = (record) => record,
    isUrgent: (record: ReceivedRecord) => boolean = () => false,
  ) {
    const rule = withTurns(givenRule);
    this.#tree = new LaneTree(rule, viewOf);
    this.#root = this.#tree.root;
    this.#filling = new BatchFilling(batching, isUrgent);
    const { startsPerSecond } = rule;
    this.#rate =
      startsPerSecond === undefined || startsPerSecond === Number.POSITIVE_INFINITY
        ? undefined
        : new StartRate(startsPerSecond);
    this.#hasTurns = hasTurns(rule);
    this.#turns = new TurnTaking(this.#filling, this.#hasTurns);
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
    if (lane.listing === 'none') this.#turns.listUpwards(lane, now);
    return lane;
  }

  /** The lane from which a call may start now, which then counts as running: take from it, and `end` it. */
  start(now: number): Lane<Call> | undefined {
    this.#now = now;
    if (this.#filling.isWaiting) for (const lane of this.#filling.due(now)) this.#turns.listUpwards(lane, now);
    if (this.#rate !== undefined && this.#rate.dueAt > now) return undefined;
    if (this.#root.running >= this.#root.maxCalls) return undefined;
    const lane = this.#turns.startBelow(this.#root, now);
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
    const most = lane.isUnlaned ? 1 : maxRecords;
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
    this.#turns.ended(lane, now);
    if (lane.isEmpty()) this.#tree.remove(lane);
  }

  /** A call that was started gives its slot back and waits, for a retry. Comes back by `unpark`. */
  park(lane: Lane<Call>, now: number): void {
    this.hold(lane);
    this.end(lane, now);
  }

  /** Something of a call that runs has to wait, for a dead letter to be written say: an ordered lane is blocked until it is unparked. */
  hold(lane: Lane<Call>): void {
    lane.parked++;
    this.hasHeld = true;
  }

  /** The wait is over: the call starts again when its turn comes, or is gone if there is none. */
  unpark(lane: Lane<Call>, call: Call | undefined, now: number): void {
    lane.parked--;
    if (call !== undefined) lane.resumed.push(call);
    if (lane.isEmpty()) this.#tree.remove(lane);
    this.#turns.listUpwards(lane, now);
  }

  /** A call that was taken out of the lanes comes back, ahead of what is queued in its record's lane. */
  resume(call: Call, record: ReceivedRecord, partitionId: number, now: number): Lane<Call> {
    const lane = this.#tree.laneOf(record, partitionId);
    lane.resumed.push(call);
    this.#turns.listUpwards(lane, now);
    return lane;
  }

  /** Every lane that there is. */
  all(): Generator<Lane<Call>> {
    return this.#tree.lanes();
  }

  /** Whether a rate could keep records from starting since that time. */
  mayWaitForRate(since: number): boolean {
    return this.#rate !== undefined && this.#rate.dueAt > since;
  }

  /** Records that wait in the queues of these lanes. */
  *queued(isMeant: (lane: Lane<Call>) => boolean): Generator<ReceivedRecord> {
    for (const lane of this.#tree.lanes()) if (isMeant(lane)) yield* lane.queue;
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
    this.#turns.listUpwards(lane, this.#now);
  }

  /** Nothing more comes: batches that wait to fill start as they are, now and later. */
  stopFilling(now: number): void {
    this.#filling.stopWaiting();
    this.startPartBatches(now);
  }

  /** Batches that wait to fill, and have a record like that, start as they are: waiting brings them no company. */
  startPartBatches(now: number, has: (record: ReceivedRecord) => boolean = () => true): void {
    for (const lane of this.#filling.release(({ queue }) => [...queue].some(has))) this.#turns.listUpwards(lane, now);
  }

  /** Whether a batch waits to fill. */
  get isFilling(): boolean {
    return this.#filling.nextDueAt !== undefined;
  }

  /** When something may start that only waits for the time to come, in the clock's milliseconds. */
  get nextDueAt(): number | undefined {
    const filledAt = this.#filling.nextDueAt;
    const isHeldByRate =
      this.#rate !== undefined &&
      this.#root.running < this.#root.maxCalls &&
      this.#turns.isReady(this.#root, this.#now);
    if (this.#rate === undefined || !isHeldByRate) return filledAt;
    return filledAt === undefined ? this.#rate.dueAt : Math.min(filledAt, this.#rate.dueAt);
  }
}

function parentOf<Call>(node: LaneNode<Call>): LaneGroup<Call> | undefined {
  return node.parent;
}

function hasTurns({ active, inside }: LaneRule): boolean {
  if ('width' in inside) return false;
  return active !== Number.POSITIVE_INFINITY || hasTurns(inside);
}
