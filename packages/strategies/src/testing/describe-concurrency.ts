import { describe, expect, it } from '@jest/globals';
import { hasKeyLanes } from '@kafka-worker/core';
import fc from 'fast-check';
import { freezeKey } from '../failure/freeze-key.ts';
import { placeOf } from './concurrency-oracle.ts';
import type { ConcurrencyUnderTest, SentRecord } from './concurrency-under-test.ts';
import { type BatchLimits, type Behaviour, ConcurrencyWorld, type Message } from './concurrency-world.ts';

const LONG_MS = 60_000;

type Step =
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'send'; readonly messages: readonly Message[] }
  | { readonly do: 'revoke' | 'lose' | 'pause'; readonly topic: string; readonly partition: number }
  | { readonly do: 'give back' }
  | { readonly do: 'resume' };

const topic = fc.constantFrom('t', 'u');
const partition = fc.nat(1);
const message: fc.Arbitrary<Message> = fc.record({
  ...{ topic, partition },
  key: fc.constantFrom(null, '', 'a', 'b', 'c', 'd'),
  tenant: fc.constantFrom('x', 'x', 'y', 'z', '', null),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 19, 60, 350, 1_100) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('send' as const), messages: fc.array(message, { maxLength: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'lose' as const), topic, partition }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), topic, partition }) },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ do: 'give back' }, { do: 'resume' }) },
);
const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  durationMs: fc.constantFrom(0, 0, 1, 20, 20, 400),
  failures: fc.constantFrom(0, 0, 0, 0, 1, 2, 9),
});
const plan = fc.record({
  behaviours: fc.array(behaviour, { minLength: 1, maxLength: 7 }),
  steps: fc.array(step, { minLength: 3, maxLength: 16, size: 'max' }),
});
const batchLimits: fc.Arbitrary<BatchLimits> = fc.record({
  maxRecords: fc.constantFrom(2, 5),
  // A record is some 20 bytes without what it counts beside its contents.
  maxBytes: fc.constantFrom(250, 400, 1_000_000),
  maxWaitMs: fc.constantFrom(0, 15, 90),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

/**
 * The contract of a concurrency strategy, in Jest's terms: one suite for every strategy and nesting, on a worker, in virtual time. It imports Jest, so
 * it is no part of the package's entries.
 * @param factory called for every world anew, so that a lane function may remember
 */
export function describeConcurrency(name: string, factory: () => ConcurrencyUnderTest): void {
  describe(`concurrency: ${name}`, () => {
    it('keeps the order of each lane and every limit, settles each record once, and holds nothing up for nothing', async () => {
      await fc.assert(
        fc.asyncProperty(plan, async (given) => expect(await live(factory(), given)).toEqual([])),
        { numRuns: 25 },
      );
    });

    it('does the same with batches, of which records fail alone', async () => {
      await fc.assert(
        fc.asyncProperty(plan, batchLimits, async (given, batch) =>
          expect(await live(factory(), given, batch)).toEqual([]),
        ),
        { numRuns: 15 },
      );
    });

    it('holds up the lane of a record that waits for its retry, in order, and nothing else', async () => {
      const under = factory();
      const world = new ConcurrencyWorld({
        ...{ under, retryMs: LONG_MS },
        behaviourOf: ({ offset, partition: number, topic: of }) => ({
          durationMs: 1,
          failures: of === 't' && number === 0 && offset === 2 ? 1 : 0,
        }),
      });
      await world.start();
      const failing = world.send(everything(3)).find((one) => placeOf(one) === 't/0@2');
      if (failing === undefined) throw new Error('it is among them');
      await waitFor(world, 20_000);
      expect(unsettled(world)).toEqual(lockedBehind(under, world, failing));
      await world.clock.advance(LONG_MS);
      await world.finish();
      expect(world.oracle.broken).toEqual([]);
    });

    const { strategy } = factory();
    (hasKeyLanes(strategy.lanes) ? it : it.skip)('keeps a key that is frozen, in order, and nothing else', async () => {
      const under = factory();
      const failures = (one: SentRecord): number => (placeOf(one) === 't/0@0' ? 1 : 0);
      const behaviourOf = (one: SentRecord): Behaviour => ({ durationMs: 1, failures: failures(one) });
      const world = new ConcurrencyWorld({ under, onFailure: freezeKey(), behaviourOf });
      const frozen: (string | null)[] = [];
      world.worker.on('frozen', ({ key }) => frozen.push(key));
      await world.start();
      const failing = world.send(everything(3)).find((one) => failures(one) > 0);
      if (failing === undefined) throw new Error('it is among them');
      await waitFor(world, 5_000);
      expect(unsettled(world)).toEqual(lockedBehind(under, world, failing));
      expect(frozen).toHaveLength(1);
      await world.worker.unfreeze({ topic: 't', partition: 0, key: frozen[0] ?? null });
      await world.finish();
      expect(world.oracle.broken).toEqual([]);
    });

    it('has no batch barrier: a slow record holds up its lane, its place, and nothing else', async () => {
      const under = factory();
      const isSlow = (one: SentRecord): boolean => placeOf(one) === 't/0@2';
      const behaviourOf = (one: SentRecord): Behaviour => ({ durationMs: isSlow(one) ? LONG_MS : 1, failures: 0 });
      const world = new ConcurrencyWorld({ under, behaviourOf });
      await world.start();
      const slow = world.send(everything(2)).find(isSlow);
      if (slow === undefined) throw new Error('it is among them');
      await waitFor(world, 20_000);
      const locked = new Set(lockedBehind(under, world, slow));
      const lastOnes = (limit: ConcurrencyUnderTest['limits'][number]): boolean => limit.most === 1;
      for (const one of world.sent.values()) {
        // A limit of one is used up by the slow call. Those that share its place go on until its turn is over.
        const isKept = under.limits.filter(lastOnes).some(({ among, of, hasTurns }) => {
          const isInScope = (among?.(one) ?? '') === (among?.(slow) ?? '');
          return isInScope && (hasTurns === true || of?.(one) === undefined || of(one) !== of(slow));
        });
        if (isKept && !world.settled.has(placeOf(one))) locked.add(placeOf(one));
      }
      expect(unsettled(world)).toEqual([...locked].sort());
      await world.clock.advance(LONG_MS);
      await world.finish();
      expect(world.oracle.broken).toEqual([]);
    });

    it('starves nobody: one record gets its turn beside partitions and keys that never run dry', async () => {
      const hot: Message[] = everything(1).filter(({ topic: of, partition: number }) => of === 't' && number === 0);
      const world = new ConcurrencyWorld({
        under: factory(),
        behaviourOf: () => ({ durationMs: 100, failures: 0 }),
        whenEnded: ([one]) => {
          if (one !== undefined && one.tenant !== 'quiet' && one.offset < 5_000)
            world.send([{ ...one, partition: one.partition }]);
        },
      });
      await world.start();
      world.send([...hot, ...hot, ...hot.map((one) => ({ ...one, topic: 'u' }))]);
      await world.clock.advance(500);
      const quiet = world.send(['t', 'u'].map((of) => ({ topic: of, partition: 1, key: 'quiet', tenant: 'quiet' })));
      // Two turns of a second, and what was in front.
      for (let waited = 0; waited < 6_000 && unsettled(world, quiet).length > 0; waited += 100)
        await world.clock.advance(100);
      expect(unsettled(world, quiet)).toEqual([]);
      expect(world.oracle.running.size + world.oracle.waiting.size).toBeGreaterThan(0);
      expect(world.oracle.broken).toEqual([]);
      await world.stop();
    });
  });
}

async function live(under: ConcurrencyUnderTest, { behaviours, steps }: Plan, batch?: BatchLimits): Promise<string[]> {
  const behaviourOf = ({ offset, partition: number }: SentRecord): Behaviour =>
    behaviours[(offset * 3 + number) % behaviours.length] ?? { durationMs: 0, failures: 0 };
  const world = new ConcurrencyWorld({ under, behaviourOf, batch });
  await world.start();
  for (const action of steps) {
    if (action.do === 'wait') await world.wait(action.ms);
    else if (action.do === 'send') world.send(action.messages);
    else if (action.do === 'give back') world.giveBack();
    else if (action.do === 'resume') world.resume();
    else if (action.do === 'pause') world.pause(action);
    // What is left of a batch that was lost in part is called again as the same attempt: another contract than this one.
    else world.take(batch === undefined ? action.do : 'revoke', action);
  }
  await world.finish();
  return world.oracle.broken;
}

/** So many records of every key and every tenant, in every partition. */
function everything(times: number): Message[] {
  const messages: Message[] = [];
  for (let i = 0; i < times; i++)
    for (const key of ['a', null, 'b', ''])
      for (const tenant of ['x', 'y'])
        for (const name of ['t', 'u'])
          for (const number of [0, 1]) messages.push({ topic: name, partition: number, key, tenant });
  return messages;
}

async function waitFor(world: ConcurrencyWorld, ms: number): Promise<void> {
  for (let waited = 0; waited < ms; waited += 500) await world.wait(500);
}

function unsettled(world: ConcurrencyWorld, of: Iterable<SentRecord> = world.sent.values()): string[] {
  return Array.from(of, placeOf)
    .filter((place) => !world.settled.has(place))
    .sort();
}

/** The record, and those of its lane that were not started before it. */
function lockedBehind({ laneOf }: ConcurrencyUnderTest, world: ConcurrencyWorld, record: SentRecord): string[] {
  const lane = laneOf(record);
  const behind = [...world.sent.values()].filter(
    (one) => one === record || (lane !== undefined && laneOf(one) === lane && world.oracle.isBehind(one, record)),
  );
  return behind.map(placeOf).sort();
}
