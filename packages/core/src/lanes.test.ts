import { describe, expect, it } from '@jest/globals';
import type { Batching } from './batch-filling.ts';
import type { LaneRule } from './concurrency.ts';
import { IllegalStateError } from './errors.ts';
import type { Lane } from './lane.ts';
import { Lanes } from './lanes.ts';
import { noHeaders, OwnedRecord } from './record.ts';

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

    // 1000 + 33.3 - 1000 is less than 33.3: the lane was struck off the list of those that wait, and never started.
    it('start when the time is up also where its sum is no exact number', () => {
      const lanes = new Lanes<string>(rule, { maxRecords: 2, maxWaitMs: 33.3 });
      lanes.add(record(0, 0), 0, 1_000);
      expect(lanes.start(lanes.nextDueAt ?? 0)).toBeDefined();
    });
  });
});
