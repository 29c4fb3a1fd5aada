import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Batching } from './batch-filling.ts';
import type { LaneRule } from './concurrency.ts';
import { LaneGroup } from './lane-group.ts';
import { CheckedLanes, check, type Leaf } from './testing/checked-lanes.ts';

/** Everything below a group that belongs to a partition or a name. */
function namedNodes(group: LaneGroup<unknown>): number {
  let nodes = 0;
  for (const child of group.children.values()) {
    if (group.rule.by !== 'all') nodes++;
    if (child instanceof LaneGroup) nodes += namedNodes(child);
  }
  return nodes;
}

const by = fc.constantFrom<LaneRule['by']>(
  ...(['all', 'partition', 'key'] as const),
  (record) => String(record.key),
  (record) => `${record.offset % 2}`,
  // Has no lane for some.
  (record) => {
    if (String(record.key) === 'd') throw new Error('not this one');
    return (String(record.key) === 'c' ? undefined : String(record.key)) as string;
  },
);
const count = fc.constantFrom(1, 1, 2, 3, Number.POSITIVE_INFINITY);
const leaf = fc.record({ width: count, unordered: fc.boolean() }, { requiredKeys: ['width'] });
const level = {
  ...{ by, active: count, calls: fc.constantFrom(1, 2, 4) },
  across: fc.constantFrom('partition' as const, 'topic' as const, 'all' as const),
  nullKeys: fc.constantFrom('parallel' as const, 'per-partition' as const, 'one-lane' as const),
  turn: fc.record({ maxRecords: fc.constantFrom(1, 3, 1_000), maxMs: fc.constantFrom(10, 1_000) }),
};
const required = { requiredKeys: ['by', 'active', 'inside'] } as const;
const flat = fc.record({ ...level, inside: leaf }, { requiredKeys: [...required.requiredKeys] });
const two = fc.record({ ...level, inside: flat }, { requiredKeys: [...required.requiredKeys] });
const three = fc.record({ ...level, inside: two }, { requiredKeys: [...required.requiredKeys] });
const rule: fc.Arbitrary<LaneRule> = fc.oneof(flat, two, three);

const noBatches: Batching = { maxRecords: 1, maxWaitMs: 0 };
const batching: fc.Arbitrary<Batching> = fc.record({
  maxRecords: fc.constantFrom(1, 2, 5),
  maxBytes: fc.constantFrom(1, 200, 500, Number.POSITIVE_INFINITY),
  maxWaitMs: fc.constantFrom(0, 10, 33.3),
});

type Step = (lanes: CheckedLanes) => void;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(2), fc.constantFrom('a', 'b', 'c', 'd', null)).map(
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
    const active = fc.constant(Number.POSITIVE_INFINITY);
    const { across, nullKeys } = level;
    const unlimited = fc.record({ ...{ by, across, nullKeys, active }, inside: leaf }) as fc.Arbitrary<LaneRule>;
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
