import type { Batching } from '../batch-filling.ts';
import type { LaneRule } from '../concurrency.ts';
import type { Lane } from '../lane.ts';
import type { LaneGroup } from '../lane-group.ts';
import { Lanes } from '../lanes.ts';
import { type KafkaRecord, noHeaders, OwnedRecord, type ReceivedRecord } from '../record.ts';

interface Call {
  readonly records: readonly ReceivedRecord[];
  readonly leaf: Leaf;
  readonly lane: Lane<Call>;
}

/** One level above a lane: the whole name there, and the limits that it shares with the others of its group. */
interface Level {
  readonly group: string;
  readonly name: string;
  readonly active: number;
  readonly calls: number;
  /** Each call is active for itself. */
  readonly countsCalls: boolean;
  /** Who is active stays so for a turn. */
  readonly hasTurns: boolean;
}

/** What the model knows of one lane. */
export interface Leaf {
  /** From the root down to the lane. */
  readonly path: readonly Level[];
  readonly width: number;
  readonly isOrdered: boolean;
  /** Its records found no lane. */
  readonly isUnlaned: boolean;
  queue: ReceivedRecord[];
  since: number;
  readonly resumed: Call[];
  running: number;
  parked: number;
}

interface Active {
  readonly names: Set<string>;
  running: number;
}

const nobody: Active = { names: new Set(), running: 0 };

/** Lanes and a model of them, moved together. Every start is checked against what the model allows, every refusal against what it could do. */
export class CheckedLanes {
  readonly lanes: Lanes<Call>;
  readonly running: Call[] = [];
  readonly parked: Call[] = [];
  readonly leaves: Map<string, Leaf> = new Map<string, Leaf>();
  /** Records in the order in which they came out; those of a retried call once. */
  readonly cameOut: ReceivedRecord[] = [];
  readonly extracted: Set<ReceivedRecord> = new Set<ReceivedRecord>();
  readonly added: ReceivedRecord[] = [];
  now = 1_000;
  root: LaneGroup<Call> | undefined;
  started: (leaf: Leaf) => void = () => {};
  /** By group, until something starts or ends. */
  #active: Map<string, Active> | undefined;
  readonly #rule: LaneRule;
  readonly #batching: Batching;

  constructor(rule: LaneRule, batching: Batching = { maxRecords: 1, maxWaitMs: 0 }) {
    this.lanes = new Lanes<Call>(rule, batching);
    this.#rule = rule;
    this.#batching = batching;
  }

  /** Partition 2 is the other topic's. */
  add(partition: number, key: string | null): void {
    const topic = partition === 2 ? 'u' : 't';
    const offset = this.added.length;
    const record = new OwnedRecord(
      ...([topic, partition, offset, 0, key === null ? null : Buffer.from(key)] as const),
      ...([Buffer.alloc((offset % 4) * 50), noHeaders] as const),
    );
    this.added.push(record);
    const leaf = this.#leafOf(record);
    leaf.queue.push(record);
    if (leaf.queue.length === 1) leaf.since = this.now;
    this.lanes.add(record, partition, this.now);
  }

  /** Whether a call was started. */
  start(): boolean {
    const lane = this.lanes.start(this.now);
    if (lane === undefined) {
      // Nothing that may start is left waiting.
      for (const leaf of this.leaves.values())
        check(!this.mayStart(leaf) || this.#awaitsTurn(leaf), `${leaf.path.at(-1)?.name} is left waiting`);
      return false;
    }
    this.root = rootOf(lane);
    const resumed = lane.resumed.shift();
    const records = resumed?.records ?? this.#take(lane);
    const leaf = this.#leafOf(records[0]);
    check(this.mayStart(leaf), 'a call starts that may not');
    if (resumed === undefined) {
      check(leaf.resumed.length === 0, 'a retry is overtaken');
      for (const record of records) check(record === leaf.queue.shift(), 'a record comes out of turn');
      this.#checkBatch(leaf, records);
      if (leaf.queue.length > 0) leaf.since = this.now;
      this.cameOut.push(...records);
      for (const record of records) {
        const hasError = this.lanes.takeLaneError(record) !== undefined;
        check(hasError === leaf.isUnlaned, 'what the lane function threw is told once, and to nobody else');
        check(this.lanes.takeLaneError(record) === undefined, 'it is told twice');
      }
    } else {
      check(resumed === leaf.resumed.shift(), 'a retry comes out of turn');
    }
    leaf.running++;
    this.#active = undefined;
    this.running.push({ records, leaf, lane });
    this.started(leaf);
    return true;
  }

  end(index: number): void {
    const [call] = this.running.splice(index % Math.max(this.running.length, 1), 1);
    if (call === undefined) return;
    call.leaf.running--;
    this.#active = undefined;
    this.lanes.end(call.lane, this.now);
  }

  park(index: number): void {
    const [call] = this.running.splice(index % Math.max(this.running.length, 1), 1);
    if (call === undefined) return;
    call.leaf.running--;
    this.#active = undefined;
    call.leaf.parked++;
    this.parked.push(call);
    this.lanes.park(call.lane, this.now);
  }

  unpark(index: number, isDropped: boolean): void {
    const [call] = this.parked.splice(index % Math.max(this.parked.length, 1), 1);
    if (call === undefined) return;
    call.leaf.parked--;
    if (!isDropped) call.leaf.resumed.push(call);
    this.lanes.unpark(call.lane, isDropped ? undefined : call, this.now);
  }

  extract(partition: number): void {
    const taken = this.lanes.extract((record) => record.partition === partition);
    const queued = [...this.leaves.values()].flatMap((leaf) => leaf.queue.filter((one) => one.partition === partition));
    check(taken.length === queued.length && taken.every((one) => queued.includes(one)), 'others were extracted');
    for (const leaf of this.leaves.values()) leaf.queue = leaf.queue.filter((one) => one.partition !== partition);
    for (const record of taken) this.extracted.add(record);
  }

  wait(ms: number): void {
    this.now += ms;
  }

  checkCounts(): void {
    const leaves = [...this.leaves.values()];
    const queued = leaves.reduce((sum, leaf) => sum + leaf.queue.length, 0);
    check(this.lanes.runningCount === this.running.length, 'runningCount is wrong');
    check(this.lanes.queuedCount === queued, 'queuedCount is wrong');
    for (const { running, width, path } of leaves) {
      check(running <= width, 'a lane runs more calls than its width');
      for (const { group, active, calls } of path) {
        const { names, running: callsThere } = this.#activeIn(group);
        check(names.size <= active, 'too many are active');
        check(callsThere <= calls, 'too many calls run below a level');
      }
    }
  }

  /** Runs everything to its end: no retries any more, and all the time that batches may want. */
  drain(): void {
    for (let rounds = 0; rounds < 10_000; rounds++) {
      while (this.parked.length > 0) this.unpark(0, false);
      while (this.start());
      this.checkCounts();
      if (this.running.length === 0 && this.lanes.queuedCount === 0) return;
      if (this.running.length > 0) this.end(rounds);
      else this.wait(this.#batching.maxWaitMs);
    }
    throw new Error('it does not end');
  }

  mayStart(leaf: Leaf): boolean {
    if (leaf.running >= leaf.width || (leaf.parked > 0 && leaf.isOrdered)) return false;
    if (leaf.resumed.length === 0 && !this.#isFilled(leaf)) return false;
    return leaf.path.every(({ group, name, active, calls, countsCalls }) => {
      const { names, running } = this.#activeIn(group);
      return running < calls && (names.size < active || (!countsCalls && names.has(name)));
    });
  }

  /** Whether at some level its turn may be over: the places are taken, one by itself, and another one has something to do. */
  #awaitsTurn(leaf: Leaf): boolean {
    return leaf.path.some(({ group, name, active, hasTurns }) => {
      if (!hasTurns || this.#activeIn(group).names.size < active) return false;
      for (const { path, queue, resumed } of this.leaves.values()) {
        const isOther = path.some((level) => level.group === group && level.name !== name);
        if (isOther && queue.length + resumed.length > 0) return true;
      }
      return false;
    });
  }

  #isFilled({ queue, since, isUnlaned }: Leaf): boolean {
    const { maxRecords, maxWaitMs, maxBytes = Number.POSITIVE_INFINITY } = this.#batching;
    if (queue.length === 0) return false;
    const isFull = queue.length >= maxRecords || bytesOf(queue) >= maxBytes;
    return maxWaitMs === 0 || isUnlaned || isFull || this.now >= since + maxWaitMs;
  }

  #take(lane: Lane<Call>): readonly ReceivedRecord[] {
    return this.lanes.takeBatch(lane, this.now);
  }

  /** A batch is as large as it may be. */
  #checkBatch({ queue, isUnlaned }: Leaf, records: readonly ReceivedRecord[]): void {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#batching;
    const maxRecords = isUnlaned ? 1 : this.#batching.maxRecords;
    check(records.length > 0 && records.length <= maxRecords, `a batch of ${records.length}`);
    check(records.length === 1 || bytesOf(records) <= maxBytes, `a batch of ${bytesOf(records)} bytes`);
    const [next] = queue;
    if (next === undefined || records.length === maxRecords) return;
    check(bytesOf(records) + next.sizeBytes > maxBytes, 'a batch left a record behind that it had room for');
  }

  /** The children of a group that have a call running, and how many calls run below it. */
  #activeIn(group: string): Active {
    if (this.#active === undefined) {
      this.#active = new Map();
      for (const leaf of this.leaves.values()) if (leaf.running > 0) addActive(this.#active, leaf);
    }
    return this.#active.get(group) ?? nobody;
  }

  #leafOf(record: ReceivedRecord | undefined): Leaf {
    if (record === undefined) throw new Error('a call without a record');
    const path: Level[] = [];
    let group = '';
    let rule = this.#rule;
    for (;;) {
      const { active, inside, calls = Number.POSITIVE_INFINITY } = rule;
      const place = placeIn(rule, record);
      const name = `${group}>${place.name}`;
      const isLast = 'width' in inside || place.special !== undefined;
      const hasTurns = Number.isFinite(active) && rule.by !== 'all' && !('width' in inside && inside.width === 1);
      path.push({ group, name, active, calls, hasTurns, countsCalls: isLast && place.special === 'unordered' });
      if (isLast) {
        const width = place.special === 'unordered' ? Number.POSITIVE_INFINITY : 1;
        const traits =
          'width' in inside && place.special === undefined
            ? { width: inside.width, isOrdered: inside.width === 1 && inside.unordered !== true }
            : { width, isOrdered: width === 1 };
        const state = { queue: [], since: 0, resumed: [], running: 0, parked: 0 };
        const leaf = this.leaves.get(name) ?? { path, ...traits, isUnlaned: place.isUnlaned === true, ...state };
        this.leaves.set(name, leaf);
        return leaf;
      }
      group = name;
      rule = inside;
    }
  }
}

/** Where a level's rule puts a record; `special` are lanes beside those of the rule. */
function placeIn(
  { by, across, nullKeys = 'parallel' }: LaneRule,
  record: ReceivedRecord,
): { readonly name: string; readonly special?: 'ordered' | 'unordered'; readonly isUnlaned?: boolean } {
  const { topic, partition, key } = record;
  if (by === 'all') return { name: '*' };
  if (by === 'partition') return { name: `${partition}` };
  if (by === 'key' && key === null) {
    if (nullKeys === 'one-lane') return { name: 'null', special: 'ordered' };
    return { name: `null ${partition}`, special: nullKeys === 'parallel' ? 'unordered' : 'ordered' };
  }
  const scope = across === 'all' ? '' : across === 'topic' ? topic : `${partition}`;
  try {
    const own = by === 'key' ? String(key) : by(record as unknown as KafkaRecord<never, never>);
    if (typeof own === 'string') return { name: `${scope}:${own}` };
  } catch {
    // It has no lane, as if no string had come.
  }
  return { name: `unlaned ${partition}`, special: 'unordered', isUnlaned: true };
}

function addActive(active: Map<string, Active>, { running, path }: Leaf): void {
  for (const { group, name, countsCalls } of path) {
    const there = active.get(group) ?? { names: new Set(), running: 0 };
    active.set(group, there);
    there.running += running;
    if (!countsCalls) there.names.add(name);
    else for (let i = 0; i < running; i++) there.names.add(`${name} ${i}`);
  }
}

function bytesOf(records: readonly ReceivedRecord[]): number {
  return records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Cheaper than `expect`, for what is asked a hundred thousand times. */
export function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

function rootOf(lane: Lane<Call>): LaneGroup<Call> {
  let group = lane.parent;
  while (group.parent !== undefined) group = group.parent;
  return group;
}
