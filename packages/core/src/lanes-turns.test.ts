import { describe, expect, it } from '@jest/globals';
import type { LaneRule, LaneTurn } from './concurrency.ts';
import type { Lane } from './lane.ts';
import { Lanes } from './lanes.ts';
import { noHeaders, OwnedRecord } from './record.ts';

const unlimited = Number.POSITIVE_INFINITY;

function partitionsAtOnce(active: number, keysAtOnce: number, turn?: LaneTurn): LaneRule {
  const inside: LaneRule = { by: 'key', active: keysAtOnce, inside: { width: 1 } };
  return { by: 'partition', active, inside, ...(turn === undefined ? {} : { turn }) };
}

interface Call {
  readonly lane: Lane<never>;
  readonly partition: number;
  readonly key: string;
  readonly endsAt: number;
}

/** Partitions of eight keys that never run dry; calls of 10 ms, and whatever a test adds. */
class EndlessInput {
  now = 0;
  readonly lanes: Lanes<never>;
  /** The partition of each call, in the order of their starts. */
  readonly starts: { readonly partition: number; readonly key: string; readonly at: number }[] = [];
  /** How many ran at once, looked at each millisecond. */
  readonly loads: number[] = [];
  running: Call[] = [];
  readonly #callMs: (partition: number, key: string) => number;
  #offset = 0;

  constructor(rule: LaneRule, partitions: readonly number[], callMs: (partition: number, key: string) => number) {
    this.lanes = new Lanes(rule);
    this.#callMs = callMs;
    for (const partition of partitions) for (let key = 0; key < 8; key++) this.add(partition, `${key}`);
  }

  add(partition: number, key: string): void {
    const record = new OwnedRecord('t', partition, this.#offset++, 0, Buffer.from(key), null, noHeaders);
    this.lanes.add(record, partition, this.now);
  }

  /** Every call that ends is followed by another record of its partition and key. */
  run(ms: number): void {
    for (const until = this.now + ms; this.now < until; this.now++) {
      const ended = this.running.filter(({ endsAt }) => endsAt <= this.now);
      this.running = this.running.filter(({ endsAt }) => endsAt > this.now);
      for (const { lane, partition, key } of ended) {
        this.add(partition, key);
        this.lanes.end(lane, this.now);
      }
      for (let lane = this.lanes.start(this.now); lane !== undefined; lane = this.lanes.start(this.now)) {
        const { partition, key } = this.lanes.take(lane);
        const endsAt = this.now + this.#callMs(partition, String(key));
        this.running.push({ lane, partition, key: String(key), endsAt });
        this.starts.push({ partition, key: String(key), at: this.now });
      }
      this.loads.push(this.running.length);
    }
  }

  /** The partitions in the order in which they were worked on, with how many calls each had in a row. */
  turns(): [partition: number, calls: number][] {
    const turns: [number, number][] = [];
    for (const { partition } of this.starts) {
      const last = turns.at(-1);
      if (last?.[0] === partition) last[1]++;
      else turns.push([partition, 1]);
    }
    return turns;
  }
}

const tenMs = (): number => 10;

describe('Turns, with endless input on every partition', () => {
  it('last for as many records as they may, then go to the partition that has waited longest', () => {
    const input = new EndlessInput(partitionsAtOnce(1, 3, { maxRecords: 30, maxMs: 1_000_000 }), [0, 1, 2], tenMs);
    input.run(1_000);
    expect(input.turns().slice(0, 7)).toEqual([0, 1, 2, 0, 1, 2, 0].map((partition) => [partition, 30]));
  });

  it('end also where something runs all the time', () => {
    const staggered = (_: number, key: string): number => 10 + 3 * Number(key);
    const turn = { maxRecords: 30, maxMs: 1_000_000 };
    const input = new EndlessInput(partitionsAtOnce(1, 3, turn), [0, 1], staggered);
    input.run(1_500);
    expect(input.turns().slice(0, 4)).toEqual([0, 1, 0, 1].map((partition) => [partition, 30]));
  });

  it('last for as long as they may', () => {
    const input = new EndlessInput(partitionsAtOnce(1, 3, { maxRecords: 1_000_000, maxMs: 200 }), [0, 1], tenMs);
    input.run(1_000);
    expect(input.turns().slice(0, 4)).toEqual([0, 1, 0, 1].map((partition) => [partition, 60]));
  });

  it('are 1,000 records or one second where nothing else is said', () => {
    const fast = new EndlessInput(partitionsAtOnce(1, 3), [0, 1], () => 1);
    fast.run(1_000);
    expect(fast.turns()[0]?.[1]).toBeGreaterThanOrEqual(1_000);
    expect(fast.turns()[0]?.[1]).toBeLessThan(1_003);
    const slow = new EndlessInput(partitionsAtOnce(1, 3), [0, 1], () => 100);
    slow.run(3_000);
    expect(slow.turns()[0]).toEqual([0, 30]);
  });

  it('never let two partitions run where one may, and use the inner concurrency but while one drains', () => {
    const input = new EndlessInput(partitionsAtOnce(1, 3, { maxRecords: 90, maxMs: 1_000_000 }), [0, 1, 2, 3], tenMs);
    for (let i = 0; i < 4_000; i++) {
      input.run(1);
      expect(new Set(input.running.map(({ partition }) => partition)).size).toBeLessThanOrEqual(1);
    }
    expect(input.loads.filter((load) => load === 3)).toHaveLength(input.loads.length);
  });

  it('give every partition its share', () => {
    const input = new EndlessInput(partitionsAtOnce(2, 3, { maxRecords: 20, maxMs: 100 }), [0, 1, 2, 3, 4], (_, key) =>
      key === '0' ? 17 : 10,
    );
    input.run(10_000);
    const shares = [0, 1, 2, 3, 4].map((one) => input.starts.filter(({ partition }) => partition === one).length);
    expect(Math.max(...shares) / Math.min(...shares)).toBeLessThan(1.2);
    // Six at once for 10 to 17 ms each would be 5,000; draining costs some.
    expect(input.starts.length).toBeGreaterThan(3_500);
  });

  it('are no limit for a partition that nobody waits for', () => {
    const input = new EndlessInput(partitionsAtOnce(1, 3, { maxRecords: 1, maxMs: 1 }), [0], tenMs);
    input.run(1_000);
    expect(input.loads.every((load) => load === 3)).toBe(true);
  });

  it('end at once for somebody who comes after the time', () => {
    const input = new EndlessInput(partitionsAtOnce(1, 3, { maxRecords: 3, maxMs: 1 }), [0], tenMs);
    input.run(500);
    input.add(1, 'late');
    input.run(30);
    expect(input.starts.find(({ partition }) => partition === 1)?.at).toBeLessThanOrEqual(510);
    expect(new Set(input.starts.slice(-6).map(({ partition }) => partition))).toEqual(new Set([0, 1]));
  });

  // A partition of two that had yielded stayed without a start until its slow call had ended, though others had had their turns; and one that
  // waited for a place was passed by, as the slow one was about to leave it.
  it('come round again for a partition whose slow call goes on, and pass by nobody for it', () => {
    const rule = partitionsAtOnce(2, 3, { maxRecords: 20, maxMs: 100 });
    const input = new EndlessInput(rule, [0, 1, 2, 3], (partition, key) => (partition === 0 && key === '7' ? 1e6 : 10));
    input.run(10_000);
    for (const partition of [0, 1, 2, 3]) {
      const at = input.starts.filter((one) => one.partition === partition).map((one) => one.at);
      const longestGap = Math.max(...at.map((time, index) => time - (at[index - 1] ?? 0)), 10_000 - (at.at(-1) ?? 0));
      expect(longestGap).toBeLessThan(800);
    }
  });

  const short = partitionsAtOnce(1, 3, { maxRecords: 5, maxMs: 1_000_000 });
  it.each<[string, LaneRule]>([
    ['the outermost level', short],
    ['an inner level', { by: 'all', active: unlimited, calls: 9, inside: short }],
  ])('go on for a partition with a slow call when nobody waits any more, on %s', (_, rule) => {
    const input = new EndlessInput(rule, [0], (__, key) => (key === '0' ? 1e6 : 10));
    input.add(1, 'a');
    input.run(100);
    expect(input.running.map(({ key }) => key)).toEqual(['0']);
    const taken = input.lanes.extract(({ partition }) => partition === 1);
    expect(taken).toHaveLength(1);
    input.run(100);
    expect(input.running).toHaveLength(3);
  });

  // Handlers that return at once: a partition that had nothing running when its turn was over began another one before those that waited.
  it('are not prolonged by handlers that return at once', () => {
    const input = new EndlessInput(partitionsAtOnce(1, 3, { maxRecords: 10, maxMs: 1_000_000 }), [], tenMs);
    const turns: [number, number][] = [];
    for (let i = 0; i < 200; i++) for (const partition of [0, 1, 2]) input.add(partition, `${i % 8}`);
    for (let lane = input.lanes.start(0); lane !== undefined; lane = input.lanes.start(0)) {
      const { partition } = input.lanes.take(lane);
      input.lanes.end(lane, 0);
      const last = turns.at(-1);
      if (last?.[0] === partition) last[1]++;
      else turns.push([partition, 1]);
    }
    expect(turns.slice(0, 6)).toEqual([0, 1, 2, 0, 1, 2].map((partition) => [partition, 10]));
  });

  it('count every record of a batch', () => {
    const inside: LaneRule = { by: 'key', active: 3, inside: { width: 1 } };
    const turn = { maxRecords: 10, maxMs: 1_000_000 };
    const lanes = new Lanes<never>({ by: 'partition', active: 1, inside, turn }, { maxRecords: 5, maxWaitMs: 0 });
    for (let i = 0; i < 60; i++) {
      const record = new OwnedRecord('t', i % 2, i, 0, Buffer.from(`${i % 3}`), null, noHeaders);
      lanes.add(record, i % 2, 0);
    }
    const sizes: string[] = [];
    for (let lane = lanes.start(0); lane !== undefined; lane = lanes.start(0)) {
      const batch = lanes.takeBatch(lane, 0);
      sizes.push(`${batch[0]?.partition}:${batch.length}`);
      lanes.end(lane, 0);
    }
    expect(sizes.slice(0, 6)).toEqual(['0:5', '0:5', '1:5', '1:5', '0:5', '0:5']);
  });

  // It held the only place for as long as it had records.
  it('are kept by lanes that run several calls at once, too', () => {
    const rule: LaneRule = { by: 'key', active: 1, inside: { width: 2 }, turn: { maxRecords: 10, maxMs: 1_000_000 } };
    const input = new EndlessInput(rule, [], tenMs);
    for (const key of ['a', 'a', 'a', 'b', 'b', 'b']) input.add(0, key);
    input.run(1_000);
    const keys = input.starts.map(({ key }) => key).join('');
    expect(keys.slice(0, 40)).toBe(`${'a'.repeat(10)}${'b'.repeat(10)}`.repeat(2));
  });

  it('are no matter where places are not limited', () => {
    const input = new EndlessInput(partitionsAtOnce(unlimited, 3, { maxRecords: 1, maxMs: 1 }), [0, 1, 2], tenMs);
    expect(input.lanes.needsTime).toBe(false);
    input.run(100);
    expect(input.loads.every((load) => load === 9)).toBe(true);
  });
});
