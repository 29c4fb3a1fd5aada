import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Batching } from './batch-filling.ts';
import type { LaneRule } from './concurrency.ts';
import type { Lane } from './lane.ts';
import { LaneGroup } from './lane-group.ts';
import { Lanes } from './lanes.ts';
import { type KafkaRecord, noHeaders, OwnedRecord, type ReceivedRecord } from './record.ts';

interface Call {
  readonly records: readonly ReceivedRecord[];
  readonly leaf: Leaf;
  readonly lane: Lane<Call>;
}

/** What the model knows of one lane. */
interface Leaf {
  /** From the root down to the lane: the whole name at each level, and how many may be active beside it. */
  readonly path: readonly { readonly group: string; readonly name: string; readonly active: number }[];
  readonly width: number;
  queue: ReceivedRecord[];
  since: number;
  readonly resumed: Call[];
  running: number;
  parked: number;
}

/** Lanes and a model of them, moved together. Every start is checked against what the model allows, every refusal against what it could do. */
class CheckedLanes {
  readonly lanes: Lanes<Call>;
  readonly running: Call[] = [];
  readonly parked: Call[] = [];
  readonly leaves = new Map<string, Leaf>();
  /** Offsets that came out, by partition and lane, in their order; a retried call once. */
  readonly cameOut: ReceivedRecord[] = [];
  readonly extracted = new Set<ReceivedRecord>();
  readonly added: ReceivedRecord[] = [];
  now = 1_000;
  root: LaneGroup<Call> | undefined;
  started: (leaf: Leaf) => void = () => {};
  readonly #rule: LaneRule;
  readonly #batching: Batching;

  constructor(rule: LaneRule, batching: Batching = { maxRecords: 1, maxWaitMs: 0 }) {
    this.lanes = new Lanes<Call>(rule, batching);
    this.#rule = rule;
    this.#batching = batching;
  }

  add(partition: number, key: string): void {
    const record = new OwnedRecord('t', partition, this.added.length, 0, Buffer.from(key), null, noHeaders);
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
      for (const leaf of this.leaves.values()) check(!this.mayStart(leaf), `${leaf.path.at(-1)?.name} is left waiting`);
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
      if (leaf.queue.length > 0) leaf.since = this.now;
      this.cameOut.push(...records);
    } else {
      check(resumed === leaf.resumed.shift(), 'a retry comes out of turn');
    }
    leaf.running++;
    this.running.push({ records, leaf, lane });
    this.started(leaf);
    return true;
  }

  end(index: number): void {
    const [call] = this.running.splice(index % Math.max(this.running.length, 1), 1);
    if (call === undefined) return;
    call.leaf.running--;
    this.lanes.end(call.lane, this.now);
  }

  park(index: number): void {
    const [call] = this.running.splice(index % Math.max(this.running.length, 1), 1);
    if (call === undefined) return;
    call.leaf.running--;
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
      for (const { group, active } of path) check(this.#activeIn(group).size <= active, 'too many are active');
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
    if (leaf.running >= leaf.width || (leaf.parked > 0 && leaf.width === 1)) return false;
    if (leaf.resumed.length === 0 && !this.#isFilled(leaf)) return false;
    return leaf.path.every(({ group, name, active }) => {
      const actives = this.#activeIn(group);
      return actives.has(name) || actives.size < active;
    });
  }

  #isFilled({ queue, since }: Leaf): boolean {
    const { maxRecords, maxWaitMs } = this.#batching;
    return queue.length > 0 && (maxWaitMs === 0 || queue.length >= maxRecords || this.now >= since + maxWaitMs);
  }

  #take(lane: Lane<Call>): readonly ReceivedRecord[] {
    const records = this.lanes.takeBatch(lane, this.now);
    check(records.length > 0 && records.length <= this.#batching.maxRecords, `a batch of ${records.length}`);
    return records;
  }

  /** The children of a group that have a call running. */
  #activeIn(group: string): ReadonlySet<string> {
    const active = new Set<string>();
    for (const { running, path } of this.leaves.values()) {
      if (running === 0) continue;
      for (const level of path) if (level.group === group) active.add(level.name);
    }
    return active;
  }

  #leafOf(record: ReceivedRecord | undefined): Leaf {
    if (record === undefined) throw new Error('a call without a record');
    const path: { group: string; name: string; active: number }[] = [];
    let group = '';
    let rule = this.#rule;
    for (;;) {
      const { by, active, inside } = rule;
      if (by === 'key') throw new Error('the model names its keys by a function');
      const view = record as unknown as KafkaRecord<never, never>;
      const own = by === 'all' ? '*' : by === 'partition' ? `${record.partition}` : `${record.partition}:${by(view)}`;
      const name = `${group}>${own}`;
      path.push({ group, name, active });
      if ('width' in inside) {
        let leaf = this.leaves.get(name);
        leaf ??= { path, width: inside.width, queue: [], since: 0, resumed: [], running: 0, parked: 0 };
        this.leaves.set(name, leaf);
        return leaf;
      }
      group = name;
      rule = inside;
    }
  }
}

/** Cheaper than `expect`, for what is asked a hundred thousand times. */
function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

function rootOf(lane: Lane<Call>): LaneGroup<Call> {
  let group = lane.parent;
  while (group.parent !== undefined) group = group.parent;
  return group;
}

/** Everything below a group that belongs to a partition or a name. */
function namedNodes(group: LaneGroup<Call>): number {
  let nodes = 0;
  for (const child of group.children.values()) {
    if (group.rule.by !== 'all') nodes++;
    if (child instanceof LaneGroup) nodes += namedNodes(child);
  }
  return nodes;
}

const by = fc.constantFrom<LaneRule['by']>(
  'all',
  'partition',
  (record) => String(record.key),
  (record) => `${record.offset % 2}`,
);
const count = fc.constantFrom(1, 1, 2, 3, Number.POSITIVE_INFINITY);
const leaf = fc.record({ width: count });
const flat: fc.Arbitrary<LaneRule> = fc.record({ by, active: count, inside: leaf });
const two: fc.Arbitrary<LaneRule> = fc.record({ by, active: count, inside: flat });
const rule: fc.Arbitrary<LaneRule> = fc.oneof(flat, two, fc.record({ by, active: count, inside: two }));

const noBatches: Batching = { maxRecords: 1, maxWaitMs: 0 };
const batching: fc.Arbitrary<Batching> = fc.record({
  maxRecords: fc.constantFrom(1, 2, 5),
  maxWaitMs: fc.constantFrom(0, 10, 33.3),
});

type Step = (lanes: CheckedLanes) => void;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(2), fc.constantFrom('a', 'b', 'c', 'd')).map(
      ([partition, key]): Step =>
        (lanes) =>
          lanes.add(partition, key),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.integer({ min: 1, max: 4 }).map(
      (times): Step =>
        (lanes) => {
          for (let i = 0; i < times && lanes.start(); i++);
        },
    ),
  },
  {
    weight: 4,
    arbitrary: fc.nat(20).map(
      (index): Step =>
        (lanes) =>
          lanes.end(index),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(20).map(
      (index): Step =>
        (lanes) =>
          lanes.park(index),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(20), fc.boolean()).map(
      ([index, isDropped]): Step =>
        (lanes) =>
          lanes.unpark(index, isDropped),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0.1, 5, 10, 33.3).map(
      (ms): Step =>
        (lanes) =>
          lanes.wait(ms),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(2).map(
      (partition): Step =>
        (lanes) =>
          lanes.extract(partition),
    ),
  },
);
const steps = fc.array(step, { maxLength: 80, size: 'max' });

function run(
  rules: LaneRule,
  plan: readonly Step[],
  batches: Batching,
  prepare: (lanes: CheckedLanes) => void = () => {},
): CheckedLanes {
  const lanes = new CheckedLanes(rules, batches);
  prepare(lanes);
  for (const take of plan) {
    take(lanes);
    lanes.checkCounts();
  }
  return lanes;
}

describe('Lanes, for any rules and any interleaving', () => {
  it('never run more calls than a lane or a level allows, and leave nothing waiting that may start', () => {
    fc.assert(
      fc.property(rule, steps, (rules, plan) => run(rules, plan, noBatches).drain()),
      { numRuns: 500 },
    );
  });

  it('do the same with batches, which start full or when their time is up', () => {
    fc.assert(
      fc.property(rule, steps, batching, (rules, plan, batches) => run(rules, plan, batches).drain()),
      { numRuns: 500 },
    );
  });

  it('give out every record exactly once, except those that were extracted, which never come out', () => {
    fc.assert(
      fc.property(rule, steps, batching, (rules, plan, batches) => {
        const lanes = run(rules, plan, batches);
        lanes.drain();
        expect(new Set(lanes.cameOut).size).toBe(lanes.cameOut.length);
        expect(new Set([...lanes.cameOut, ...lanes.extracted])).toEqual(new Set(lanes.added));
        expect(lanes.cameOut.length + lanes.extracted.size).toBe(lanes.added.length);
      }),
      { numRuns: 300 },
    );
  });

  it('keep the order of a lane of width 1, retries included', () => {
    const perKey = (record: { readonly key: Buffer | null }): string => String(record.key);
    const width1 = fc.constantFrom<LaneRule>(
      { by: 'all', active: 1, inside: { width: 1 } },
      { by: 'partition', active: 2, inside: { width: 1 } },
      { by: perKey, active: Number.POSITIVE_INFINITY, inside: { width: 1 } },
      { by: 'partition', active: 1, inside: { by: perKey, active: 2, inside: { width: 1 } } },
    );
    fc.assert(
      fc.property(width1, steps, batching, (rules, plan, batches) => {
        // By lane, the first record of each call as it started.
        const started = new Map<Leaf, number[]>();
        const lanes = run(rules, plan, batches, (checked) => {
          checked.started = (leaf) => {
            const offset = checked.running.at(-1)?.records[0]?.offset ?? -1;
            const last = started.get(leaf)?.at(-1) ?? -1;
            // The same again is a retry; nothing goes back, and nothing starts beside.
            check(offset >= last && leaf.running === 1, `offset ${offset} after ${last}`);
            started.set(leaf, [...(started.get(leaf) ?? []), offset]);
          };
        });
        lanes.drain();
      }),
      { numRuns: 300 },
    );
  });

  it('visit ready lanes round robin where no limit stands against it: none waits for more than one turn of each other', () => {
    const unlimited = fc.record({ by, active: fc.constant(Number.POSITIVE_INFINITY), inside: leaf });
    fc.assert(
      fc.property(unlimited, steps, (rules, plan) => {
        // Of each lane that is ready: how often each other one has started since.
        const waiting = new Map<Leaf, Map<Leaf, number>>();
        const lanes = new CheckedLanes(rules, noBatches);
        const look = (): void => {
          for (const one of lanes.leaves.values()) {
            if (!lanes.mayStart(one)) waiting.delete(one);
            else if (!waiting.has(one)) waiting.set(one, new Map());
          }
        };
        lanes.started = (started) => {
          waiting.delete(started);
          for (const turns of waiting.values()) {
            turns.set(started, (turns.get(started) ?? 0) + 1);
            check(turns.get(started) === 1, 'a ready lane waits while another starts twice');
          }
          look();
        };
        for (const take of plan) {
          take(lanes);
          look();
        }
      }),
      { numRuns: 300 },
    );
  });

  it('leave nothing behind of lanes and groups that are empty', () => {
    fc.assert(
      fc.property(rule, steps, batching, (rules, plan, batches) => {
        const lanes = run(rules, plan, batches);
        lanes.drain();
        if (lanes.root === undefined) return;
        expect(namedNodes(lanes.root)).toBe(0);
        expect([lanes.root.running, lanes.root.activeChildren]).toEqual([0, 0]);
        expect([lanes.root.readyIdle.length, lanes.root.readyActive.length]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});
