import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import type { Batching } from './batch-filling.ts';
import type { LaneRule } from './concurrency.ts';
import { IllegalStateError } from './errors.ts';
import type { Lane } from './lane.ts';
import { Lanes } from './lanes.ts';
import { noHeaders, OwnedRecord } from './record.ts';

/** The benchmark `keys` has ten million, through a worker. */
const DISTINCT_KEYS = 300_000;
const unlimited = Number.POSITIVE_INFINITY;
const perKey = (active: number): LaneRule => ({ by: (record) => String(record.key), active, inside: { width: 1 } });

function record(partition: number, offset: number, key = 'k'): OwnedRecord {
  return new OwnedRecord('t', partition, offset, 0, Buffer.from(key), null, noHeaders);
}

/** Lanes with records `partition:offset:key`. */
function lanesWith(rule: LaneRule, names: readonly string[], batching?: Batching): Lanes<string> {
  const lanes = new Lanes<string>(rule, batching);
  for (const name of names) {
    const [partition = '0', offset = '0', key] = name.split(':');
    lanes.add(record(Number(partition), Number(offset), key), Number(partition), 0);
  }
  return lanes;
}

interface Started {
  readonly name: string;
  readonly lane: Lane<string>;
}

/** Starts everything that may start; retries come out under the name that they were parked with. */
function startAll(lanes: Lanes<string>, now = 0): Started[] {
  const started: Started[] = [];
  for (let lane = lanes.start(now); lane !== undefined; lane = lanes.start(now)) {
    const taken = lane.resumed.shift();
    started.push({ name: taken ?? nameOf(lanes.take(lane)), lane });
  }
  return started;
}

const nameOf = (one: { readonly partition: number; readonly offset: number }): string =>
  `${one.partition}:${one.offset}`;
const names = (started: readonly Started[]): string[] => started.map(({ name }) => name);

describe('Lanes', () => {
  it('start one record of each partition at once, and the next when that one has ended', () => {
    const lanes = lanesWith({ by: 'partition', active: unlimited, inside: { width: 1 } }, ['0:0', '0:1', '1:0', '2:0']);
    const first = startAll(lanes);
    expect(names(first)).toEqual(['0:0', '1:0', '2:0']);
    expect([lanes.runningCount, lanes.queuedCount]).toEqual([3, 1]);
    for (const { lane } of first) lanes.end(lane, 0);
    expect(names(startAll(lanes))).toEqual(['0:1']);
  });

  it('start as many of all as the one lane is wide', () => {
    const lanes = lanesWith({ by: 'all', active: 1, inside: { width: 3 } }, ['0:0', '1:0', '0:1', '0:2']);
    const started = startAll(lanes);
    expect(names(started)).toEqual(['0:0', '1:0', '0:1']);
    if (started[1] !== undefined) lanes.end(started[1].lane, 0);
    expect(names(startAll(lanes))).toEqual(['0:2']);
  });

  it('keep the same key of two partitions apart, so that each partition keeps its order', () => {
    const lanes = lanesWith(perKey(unlimited), ['0:0:k', '1:0:k', '0:1:k', '0:2:other']);
    expect(names(startAll(lanes))).toEqual(['0:0', '1:0', '0:2']);
  });

  it('let no more lanes be active than allowed, and give a free slot to the lane that waits longest', () => {
    const lanes = lanesWith(perKey(2), ['0:0:a', '0:1:b', '0:2:c', '0:3:a']);
    const [a] = startAll(lanes);
    if (a !== undefined) lanes.end(a.lane, 0);
    expect(names(startAll(lanes))).toEqual(['0:2']);
  });

  it('hold the limits of every level at once', () => {
    const rule: LaneRule = { by: 'partition', active: 1, inside: perKey(3) };
    const lanes = lanesWith(rule, ['0:0:a', '0:1:b', '0:2:c', '0:3:d', '1:0:a', '0:4:a']);
    const first = startAll(lanes);
    expect(names(first)).toEqual(['0:0', '0:1', '0:2']);
    if (first[0] !== undefined) lanes.end(first[0].lane, 0);
    expect(names(startAll(lanes))).toEqual(['0:3']);
  });

  it('hold a lane of width 1 up while its call waits for a retry, and take the retry before the queue', () => {
    const lanes = lanesWith({ by: 'partition', active: unlimited, inside: { width: 1 } }, ['0:0', '0:1', '1:0', '1:1']);
    const [first, other] = startAll(lanes);
    if (first === undefined || other === undefined) throw new Error('two lanes start');
    lanes.park(first.lane, 0);
    lanes.end(other.lane, 0);
    expect(names(startAll(lanes))).toEqual(['1:1']);
    lanes.unpark(first.lane, 'again 0:0', 0);
    expect(names(startAll(lanes))).toEqual(['again 0:0']);
    lanes.end(first.lane, 0);
    expect(names(startAll(lanes))).toEqual(['0:1']);
  });

  it('let others pass a call that waits for a retry in a lane that keeps no order', () => {
    const lanes = lanesWith({ by: 'all', active: 1, inside: { width: 2 } }, ['0:0', '0:1', '0:2']);
    const [first] = startAll(lanes);
    if (first !== undefined) lanes.park(first.lane, 0);
    expect(names(startAll(lanes))).toEqual(['0:2']);
  });

  it('go on behind a call that waited and has nothing left to do', () => {
    const lanes = lanesWith({ by: 'partition', active: unlimited, inside: { width: 1 } }, ['0:0', '0:1']);
    const [first] = startAll(lanes);
    if (first === undefined) throw new Error('it starts');
    lanes.park(first.lane, 0);
    lanes.unpark(first.lane, undefined, 0);
    expect(names(startAll(lanes))).toEqual(['0:1']);
  });

  it('give up queued records of a partition, and keep the order of the others', () => {
    const lanes = lanesWith({ by: 'all', active: 1, inside: { width: 9 } }, ['0:0', '1:0', '0:1', '1:1']);
    expect(lanes.extract(({ partition }) => partition === 0).map(nameOf)).toEqual(['0:0', '0:1']);
    expect(lanes.queuedCount).toBe(2);
    expect(names(startAll(lanes))).toEqual(['1:0', '1:1']);
  });

  it('refuse to give a record that is not there', () => {
    const lanes = lanesWith({ by: 'all', active: 1, inside: { width: 1 } }, ['0:0']);
    const [only] = startAll(lanes);
    expect(() => only !== undefined && lanes.take(only.lane)).toThrow(IllegalStateError);
  });

  // A group below a partition or a key stayed when its last record was through, one for each epoch or key.
  it('forget a group inside which everything shares one lane when that is empty', () => {
    const inside: LaneRule = { by: 'all', active: 1, inside: { width: 2 } };
    const lanes = lanesWith({ by: 'partition', active: unlimited, inside }, ['0:0', '1:0']);
    const started = startAll(lanes);
    const root = started[0]?.lane.parent.parent;
    expect(root?.children.size).toBe(2);
    for (const { lane } of started) lanes.end(lane, 0);
    expect(root?.children.size).toBe(0);
  });

  describe('with a limit of calls', () => {
    const limited = (calls: number, inside: LaneRule): LaneRule => ({ by: 'all', active: unlimited, calls, inside });

    it('start no more calls than the outermost level allows, whatever lies below', () => {
      const lanes = lanesWith(limited(2, perKey(unlimited)), ['0:0:a', '0:1:b', '1:0:c']);
      const [first] = startAll(lanes);
      expect([lanes.runningCount, lanes.queuedCount]).toEqual([2, 1]);
      if (first !== undefined) lanes.end(first.lane, 0);
      expect(names(startAll(lanes))).toEqual(['1:0']);
    });

    it('hold an inner limit for each partition alone', () => {
      const rule: LaneRule = { by: 'partition', active: unlimited, inside: limited(1, perKey(unlimited)) };
      const lanes = lanesWith(rule, ['0:0:a', '0:1:b', '1:0:a', '1:1:b']);
      const [first] = startAll(lanes);
      expect(lanes.runningCount).toBe(2);
      if (first !== undefined) lanes.end(first.lane, 0);
      expect(names(startAll(lanes))).toEqual(['0:1']);
    });

    it('count no call that waits for its retry', () => {
      const lanes = lanesWith(limited(1, perKey(unlimited)), ['0:0:a', '0:1:b']);
      const [first] = startAll(lanes);
      if (first !== undefined) lanes.park(first.lane, 0);
      expect(names(startAll(lanes))).toEqual(['0:1']);
    });
  });

  describe('with a rate', () => {
    const rule: LaneRule = { by: 'all', active: unlimited, startsPerSecond: 10, inside: perKey(unlimited) };

    it('start no call before its time, and say when that is', () => {
      const lanes = lanesWith(rule, ['0:0:a', '0:1:b', '0:2:c']);
      expect(names(startAll(lanes, 1_000))).toEqual(['0:0']);
      expect(lanes.nextDueAt).toBe(1_100);
      expect(names(startAll(lanes, 1_099))).toEqual([]);
      expect(names(startAll(lanes, 1_100))).toEqual(['0:1']);
      expect(names(startAll(lanes, 1_200))).toEqual(['0:2']);
      expect(lanes.nextDueAt).toBeUndefined();
    });

    it('wait for no time while all calls that may run are running', () => {
      const lanes = lanesWith({ ...rule, calls: 1 }, ['0:0:a', '0:1:b']);
      const [first] = startAll(lanes, 1_000);
      expect(lanes.nextDueAt).toBeUndefined();
      if (first !== undefined) lanes.end(first.lane, 1_010);
      expect(lanes.nextDueAt).toBe(1_100);
    });

    it('are told the time only where it matters', () => {
      expect(new Lanes(rule).needsTime).toBe(true);
      expect(new Lanes({ ...rule, startsPerSecond: unlimited }).needsTime).toBe(false);
    });
  });

  describe('without an order', () => {
    it('let others pass a call that waits for a retry, also where only one runs at a time', () => {
      const lanes = lanesWith({ by: 'all', active: 1, inside: { width: 1, unordered: true } }, ['0:0', '0:1']);
      const [first] = startAll(lanes);
      if (first === undefined) throw new Error('it starts');
      lanes.park(first.lane, 0);
      const [second] = startAll(lanes);
      expect(second?.name).toBe('0:1');
      lanes.unpark(first.lane, 'again 0:0', 0);
      expect(startAll(lanes)).toEqual([]);
      if (second !== undefined) lanes.end(second.lane, 0);
      expect(names(startAll(lanes))).toEqual(['again 0:0']);
    });
  });

  describe('by key', () => {
    const byKey = (active: number, more: Partial<LaneRule> = {}): LaneRule => ({
      ...{ by: 'key', active, inside: { width: 1 } },
      ...more,
    });
    const lanesOf = (rule: LaneRule, records: readonly OwnedRecord[]): Lanes<string> => {
      const lanes = new Lanes<string>(rule);
      for (const one of records) lanes.add(one, one.partition, 0);
      return lanes;
    };
    const keyless = (partition: number, offset: number): OwnedRecord =>
      new OwnedRecord('t', partition, offset, 0, null, null, noHeaders);
    const keyed = (offset: number, ...bytes: number[]): OwnedRecord =>
      new OwnedRecord('t', 0, offset, 0, Buffer.from(bytes), null, noHeaders);

    it('compare keys by their bytes, also those that are no text', () => {
      const lanes = lanesOf(byKey(9), [keyed(0, 0xff), keyed(1, 0xfe), keyed(2), keyed(3, 0xff), keyed(4, 0xc3, 0xbf)]);
      expect(names(startAll(lanes))).toEqual(['0:0', '0:1', '0:2', '0:4']);
    });

    it('take an empty key for a key, other than none', () => {
      const lanes = lanesOf(byKey(9, { nullKeys: 'one-lane' }), [keyed(0), keyless(0, 1), keyed(2), keyless(0, 3)]);
      expect(names(startAll(lanes))).toEqual(['0:0', '0:1']);
    });

    it('take records without a key for a lane each, so that each needs a place', () => {
      const lanes = lanesOf(byKey(3), [keyless(0, 0), keyless(0, 1), keyed(2, 1), keyless(1, 0), keyless(0, 3)]);
      const first = startAll(lanes);
      expect(first).toHaveLength(3);
      for (const { lane } of first) lanes.end(lane, 0);
      expect(startAll(lanes)).toHaveLength(2);
    });

    it('let records without a key and keys take turns where places are short', () => {
      const records = [0, 1, 2].flatMap((i) => [keyless(0, i), keyed(10 + i, 1), keyed(20 + i, 2)]);
      const lanes = lanesOf(byKey(1), records);
      const order: string[] = [];
      for (let lane = lanes.start(0); lane !== undefined; lane = lanes.start(0)) {
        order.push(nameOf(lanes.take(lane)));
        lanes.end(lane, 0);
      }
      expect(order).toEqual(['0:0', '0:10', '0:20', '0:1', '0:11', '0:21', '0:2', '0:12', '0:22']);
    });

    it('order records without a key as their partitions do, or all of them, as is said', () => {
      const records = [keyless(0, 0), keyless(0, 1), keyless(1, 0), keyless(1, 1)];
      const perPartition = lanesOf(byKey(9, { nullKeys: 'per-partition' }), records);
      expect(names(startAll(perPartition))).toEqual(['0:0', '1:0']);
      const oneLane = lanesOf(byKey(9, { nullKeys: 'one-lane' }), records);
      expect(names(startAll(oneLane))).toEqual(['0:0']);
    });

    it('take an equal key of another partition for another lane, unless it is said across what it is one', () => {
      const on = (topic: string, partition: number): OwnedRecord =>
        new OwnedRecord(topic, partition, 0, 0, Buffer.from('k'), null, noHeaders);
      const records = [on('t', 0), on('t', 1), on('u', 2)];
      expect(startAll(lanesOf(byKey(9), records))).toHaveLength(3);
      expect(startAll(lanesOf(byKey(9, { across: 'partition' }), records))).toHaveLength(3);
      expect(names(startAll(lanesOf(byKey(9, { across: 'topic' }), records)))).toEqual(['0:0', '2:0']);
      expect(names(startAll(lanesOf(byKey(9, { across: 'all' }), records)))).toEqual(['0:0']);
    });

    it('give a hot key no more than its turn', () => {
      const records = [
        ...Array.from({ length: 100 }, (_, i) => keyed(i, 1)),
        keyed(100, 2),
        keyed(101, 2),
        keyed(102, 3),
      ];
      const lanes = lanesOf(byKey(1), records);
      const order: string[] = [];
      for (let lane = lanes.start(0); lane !== undefined && order.length < 6; lane = lanes.start(0)) {
        order.push(nameOf(lanes.take(lane)));
        lanes.end(lane, 0);
      }
      expect(order).toEqual(['0:0', '0:100', '0:102', '0:1', '0:101', '0:2']);
    });
  });

  describe('with a lane function', () => {
    const fails = new Error('no lane');
    const rule: LaneRule = {
      by: ({ offset }) => {
        if (offset === 1) throw fails;
        return (offset === 2 ? 7 : 'one') as string;
      },
      ...{ active: unlimited, inside: { width: 1 } },
    };

    it('let a record for which it throws, or gives no string, fail alone, and tell why once', () => {
      const lanes = new Lanes<string>(rule);
      const records = [0, 1, 2, 3].map((offset) => record(0, offset));
      for (const one of records) lanes.add(one, 0, 0);
      expect(names(startAll(lanes))).toEqual(['0:0', '0:1', '0:2']);
      const [fine, thrown, wrong] = records as [OwnedRecord, OwnedRecord, OwnedRecord];
      expect(lanes.takeLaneError(fine)).toBeUndefined();
      expect(lanes.takeLaneError(thrown)).toEqual({ error: fails });
      expect(lanes.takeLaneError(thrown)).toBeUndefined();
      expect(lanes.takeLaneError(wrong)).toMatchObject({ error: { message: expect.stringContaining('returned 7') } });
    });

    it('forget why when the record is extracted', () => {
      const lanes = new Lanes<string>(rule);
      const one = record(0, 1);
      lanes.add(one, 0, 0);
      expect(lanes.extract(() => true)).toEqual([one]);
      expect(lanes.takeLaneError(one)).toBeUndefined();
    });

    it('put no two of those into one batch, so that each is told its own reason', () => {
      const lanes = new Lanes<string>({ ...rule, by: () => 7 as unknown as string }, { maxRecords: 5, maxWaitMs: 50 });
      for (const offset of [0, 1]) lanes.add(record(0, offset), 0, 0);
      const lane = lanes.start(0);
      if (lane === undefined) throw new Error('it starts');
      expect(lanes.takeBatch(lane, 0)).toHaveLength(1);
      // Nor does the next one wait for company.
      expect(lanes.start(0)).toBe(lane);
    });
  });

  it('leave no memory behind for keys that are through, however many there are', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const heap = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const lanes = new Lanes<string>({
      by: 'partition',
      active: 2,
      inside: { by: 'key', active: 10, inside: { width: 1 } },
    });
    const inFlight = 100;
    const handle = (from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        lanes.add(record(i % 3, i, `key ${i}`), i % 3, i);
        if (i < from + inFlight) continue;
        const lane = lanes.start(i);
        if (lane === undefined) throw new Error('it starts');
        lanes.take(lane);
        lanes.end(lane, i);
      }
      for (let lane = lanes.start(to); lane !== undefined; lane = lanes.start(to)) {
        lanes.take(lane);
        lanes.end(lane, to);
      }
    };
    handle(0, DISTINCT_KEYS / 10);
    const before = heap();
    handle(DISTINCT_KEYS / 10, DISTINCT_KEYS);
    // A lane takes several hundred bytes.
    expect((heap() - before) / DISTINCT_KEYS).toBeLessThan(2);
  });

  describe('with batches', () => {
    const rule: LaneRule = { by: 'partition', active: unlimited, inside: { width: 1 } };

    it('wait until a batch is full or its time is up', () => {
      const lanes = lanesWith(rule, ['0:0', '0:1', '1:0', '1:1', '1:2'], { maxRecords: 3, maxWaitMs: 50 });
      const full = lanes.start(10);
      expect(full === undefined ? [] : lanes.takeBatch(full, 10).map(nameOf)).toEqual(['1:0', '1:1', '1:2']);
      expect([lanes.start(49), lanes.nextDueAt]).toEqual([undefined, 50]);
      const late = lanes.start(50);
      expect(late === undefined ? [] : lanes.takeBatch(late, 50).map(nameOf)).toEqual(['0:0', '0:1']);
      expect([lanes.start(50), lanes.nextDueAt]).toEqual([undefined, undefined]);
    });

    it('give what is left over a wait of its own', () => {
      const lanes = lanesWith(rule, ['0:0', '0:1', '0:2'], { maxRecords: 2, maxWaitMs: 50 });
      const lane = lanes.start(20);
      if (lane === undefined) throw new Error('it is full');
      lanes.takeBatch(lane, 20);
      lanes.end(lane, 30);
      expect(lanes.start(69)).toBeUndefined();
      expect(lanes.start(70)).toBe(lane);
    });

    const sized = (offset: number, bytes: number): OwnedRecord =>
      new OwnedRecord('t', 0, offset, 0, null, Buffer.alloc(bytes), noHeaders);

    it('end before the record that would make them too large, and start without waiting when they are large enough', () => {
      const overhead = sized(0, 0).sizeBytes;
      const maxBytes = 3 * overhead + 300;
      const lanes = new Lanes<string>(rule, { maxRecords: 10, maxBytes, maxWaitMs: 50 });
      for (const [offset, bytes] of [100, 100, 100, 50, 2_000, 10].entries()) lanes.add(sized(offset, bytes), 0, 0);
      const batches: string[][] = [];
      for (const now of [0, 0, 0, 49, 50]) {
        const lane = lanes.start(now);
        if (lane === undefined) continue;
        batches.push(lanes.takeBatch(lane, now).map(nameOf));
        lanes.end(lane, now);
      }
      // The record of 2,000 bytes passes alone; what is left of it waits its own time.
      expect(batches).toEqual([['0:0', '0:1', '0:2'], ['0:3'], ['0:4'], ['0:5']]);
    });

    it('keep count of the bytes that are extracted', () => {
      const lanes = new Lanes<string>(rule, { maxRecords: 10, maxBytes: 1_000, maxWaitMs: 50 });
      lanes.add(sized(0, 900), 0, 0);
      lanes.add(sized(1, 900), 0, 0);
      lanes.extract(() => true);
      lanes.add(sized(2, 10), 0, 10);
      expect([lanes.start(10), lanes.nextDueAt]).toEqual([undefined, 60]);
    });

    it('start as they are once nothing more can come', () => {
      const lanes = lanesWith(rule, ['0:0', '1:0'], { maxRecords: 3, maxWaitMs: 50 });
      lanes.startPartBatches(10);
      expect(names(startAll(lanes, 10))).toHaveLength(2);
    });

    // 1000 + 33.3 - 1000 is less than 33.3: the lane was struck off the list of those that wait, and never started.
    it('start when the time is up also where its sum is no exact number', () => {
      const lanes = new Lanes<string>(rule, { maxRecords: 2, maxWaitMs: 33.3 });
      lanes.add(record(0, 0), 0, 1_000);
      expect(lanes.start(lanes.nextDueAt ?? 0)).toBeDefined();
    });
  });
});
