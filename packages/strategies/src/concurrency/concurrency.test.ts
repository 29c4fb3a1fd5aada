import { describe, expect, it } from '@jest/globals';
import { type ConcurrencyStrategy, InvalidOptionError, type KafkaRecord } from '@kafka-worker/core';
import { expectTypeOf } from 'expect-type';
import { laneBy } from './lane-by.ts';
import { limited } from './limited.ts';
import { parallel } from './parallel.ts';
import { perKey } from './per-key.ts';
import { perPartition } from './per-partition.ts';
import { serial } from './serial.ts';

const unlimited = Number.POSITIVE_INFINITY;
const one = (): string => 'one';

/** An option that its type does not allow. */
function wrong(value: unknown): never {
  return value as never;
}

function expectRefusal(make: () => unknown, message: string | RegExp): void {
  expect(make).toThrow(InvalidOptionError);
  expect(make).toThrow(message);
}

describe('serial', () => {
  it('is one lane for everything, and one call at a time', () => {
    expect(serial()).toEqual({
      kind: 'concurrency',
      name: 'serial',
      lanes: { by: 'all', active: 1, inside: { width: 1 } },
    });
  });
});

describe('perPartition', () => {
  it('is a lane for each partition, all of them at once, one call at a time in each', () => {
    expect(perPartition().lanes).toEqual({ by: 'partition', active: unlimited, inside: { width: 1 } });
    expect(perPartition({ concurrency: 'unlimited' })).toEqual(perPartition());
  });

  it('limits how many partitions are worked on', () => {
    expect(perPartition({ concurrency: 2 }).lanes.active).toBe(2);
  });

  it('nests another strategy inside a partition', () => {
    const nested = perPartition({ concurrency: 3, within: perKey({ concurrency: 2 }) });
    expect(nested).toMatchObject({
      name: 'perPartition(perKey)',
      lanes: { by: 'partition', active: 3, inside: perKey({ concurrency: 2 }).lanes },
    });
  });

  it('says how long a partition keeps its place, with defaults for what is left out', () => {
    const within = perKey();
    expect(perPartition({ concurrency: 1, within }).lanes.turn).toBeUndefined();
    expect(perPartition({ concurrency: 1, within, turn: { maxRecords: 5 } }).lanes.turn).toEqual({
      maxRecords: 5,
      maxMs: 1_000,
    });
    expect(perPartition({ concurrency: 1, within, turn: { maxMs: 50 } }).lanes.turn).toEqual({
      maxRecords: 1_000,
      maxMs: 50,
    });
  });

  it('refuses a turn where no place is kept', () => {
    const turn = { maxRecords: 5 };
    const message = 'perPartition.turn: expected no turn without both a concurrency that limits and a strategy within';
    for (const options of [{ concurrency: 1 }, { within: perKey() }, { concurrency: 'unlimited', within: perKey() }])
      expectRefusal(() => perPartition(wrong({ ...options, turn })), message);
  });

  it('refuses a turn that never ends or never begins', () => {
    const make = (turn: unknown) => (): unknown =>
      perPartition({ concurrency: 1, within: perKey(), turn: wrong(turn) });
    expectRefusal(make({ maxRecords: 0 }), 'perPartition.turn.maxRecords: expected a whole number, at least 1');
    expectRefusal(make({ maxMs: 0 }), 'perPartition.turn.maxMs: expected a finite number, at least 1');
    expectRefusal(make({ maxMs: Number.NaN }), 'perPartition.turn.maxMs');
    expectRefusal(make({ records: 3 }), 'perPartition.turn.records: expected no option of that name');
    expectRefusal(make(null), 'perPartition.turn: expected an object with maxRecords, maxMs');
  });

  it('refuses lanes across partitions, and partitions, inside a partition, and says where they belong', () => {
    const nest = (within: ConcurrencyStrategy) => (): unknown => perPartition({ within });
    expectRefusal(
      nest(perPartition()),
      /inside a partition, which has only itself: leave the inner perPartition\(\) out/,
    );
    expectRefusal(nest(limited(2, perPartition())), 'leave the inner perPartition() out');
    expectRefusal(nest(laneBy(one, { across: 'topic' })), 'have to stand outside of perPartition()');
    expectRefusal(nest(laneBy(one, { across: 'all' })), 'have to stand outside of perPartition()');
    expectRefusal(nest(perKey({ nullKeys: 'one-lane' })), 'one lane for all partitions has to stand outside');
  });
});

describe('perKey', () => {
  it('is a lane for each key, a hundred of them at once, and a lane for each record without one', () => {
    expect(perKey()).toEqual({
      kind: 'concurrency',
      name: 'perKey',
      lanes: { by: 'key', nullKeys: 'parallel', active: 100, inside: { width: 1 } },
    });
    expect(perKey({ concurrency: 'unlimited' }).lanes.active).toBe(unlimited);
  });

  it.each(['parallel', 'per-partition', 'one-lane'] as const)(
    'orders records without a key as said: %p',
    (nullKeys) => {
      expect(perKey({ nullKeys }).lanes.nullKeys).toBe(nullKeys);
    },
  );

  it.each(['none', null, 1])('refuses nullKeys %p', (nullKeys) => {
    expectRefusal(
      () => perKey({ nullKeys: wrong(nullKeys) }),
      "perKey.nullKeys: expected 'parallel', 'per-partition' or 'one-lane'",
    );
  });
});

describe('parallel', () => {
  it('is one lane without order, a hundred calls wide', () => {
    expect(parallel().lanes).toEqual({ by: 'all', active: 1, inside: { width: 100, unordered: true } });
    expect(parallel({ concurrency: 'unlimited' }).lanes.inside).toEqual({ width: unlimited, unordered: true });
    expect(parallel({ concurrency: 1 }).lanes.inside).toEqual({ width: 1, unordered: true });
  });
});

describe('limited', () => {
  it('limits the calls of another strategy and changes nothing else about it', () => {
    expect(limited(2, perKey())).toEqual({
      kind: 'concurrency',
      name: 'limited(2, perKey)',
      lanes: { by: 'all', active: unlimited, calls: 2, inside: perKey().lanes },
    });
  });

  it('limits what starts in a second, alone or with the calls at once', () => {
    expect(limited(2, perKey(), { perSecond: 7.5 }).lanes).toMatchObject({ calls: 2, startsPerSecond: 7.5 });
    const rate = limited('unlimited', serial(), { perSecond: 10 });
    expect(rate).toMatchObject({
      name: 'limited(unlimited, serial)',
      lanes: { calls: unlimited, startsPerSecond: 10 },
    });
  });

  it('stands at any depth', () => {
    const nested = limited(9, perPartition({ within: limited(3, limited(2, perKey())) }));
    expect(nested.name).toBe('limited(9, perPartition(limited(3, limited(2, perKey))))');
  });

  it('refuses a rate inside another strategy, for it is the worker’s', () => {
    const paced = limited(2, perKey(), { perSecond: 5 });
    const fix = 'put a limited() with perSecond around everything';
    expectRefusal(() => perPartition({ within: paced }), `perPartition.within: expected a strategy without perSecond`);
    expectRefusal(() => perPartition({ within: paced }), fix);
    expectRefusal(() => limited(2, paced), `limited.strategy: expected a strategy without perSecond`);
    expectRefusal(() => laneBy(one, { within: paced }), `laneBy.within: expected a strategy without perSecond`);
  });

  it.each([0, -1, Number.NaN, unlimited, '5', null])('refuses perSecond %p', (perSecond) => {
    const make = (): unknown => limited(2, perKey(), { perSecond: wrong(perSecond) });
    expectRefusal(make, 'limited.perSecond: expected a number above 0');
  });

  it('refuses to limit nothing', () => {
    expectRefusal(() => limited('unlimited', perKey()), 'limits nothing without perSecond');
    const alone = [
      serial(),
      parallel({ concurrency: 1 }),
      perKey({ concurrency: 1 }),
      perPartition({ concurrency: 1 }),
    ];
    const nested = [perPartition({ concurrency: 1, within: perKey({ concurrency: 1 }) }), limited(1, perKey())];
    for (const strategy of [...alone, ...nested])
      expectRefusal(
        () => limited(3, strategy),
        `limited.strategy: expected a strategy that runs more than one call at once, which ${strategy.name} does not: leave limited() out, or give perSecond`,
      );
  });

  it('takes what may run more than one call, on whichever level, and what gets a rate', () => {
    expect(() => limited(3, perPartition({ concurrency: 1, within: perKey() }))).not.toThrow();
    expect(() => limited(3, perPartition({ within: serial() }))).not.toThrow();
    expect(() => limited(3, perKey({ concurrency: 1 }), { perSecond: 5 })).not.toThrow();
  });

  it('refuses what is no strategy', () => {
    for (const strategy of [undefined, null, {}, 'perKey', perKey])
      expectRefusal(() => limited(2, wrong(strategy)), 'limited.strategy: expected a concurrency strategy');
  });
});

describe('laneBy', () => {
  it('is a lane for each name within a partition, a hundred of them at once', () => {
    expect(laneBy(one)).toEqual({
      kind: 'concurrency',
      name: 'laneBy',
      lanes: { by: one, across: 'partition', active: 100, inside: { width: 1 } },
    });
  });

  it('reaches across a topic, or everything', () => {
    expect(laneBy(one, { across: 'topic' }).lanes.across).toBe('topic');
    expect(laneBy(one, { across: 'all' }).lanes.across).toBe('all');
  });

  it('nests another strategy inside a lane, which then keeps its place for a turn', () => {
    const turn = { maxRecords: 5, maxMs: 50 };
    const nested = laneBy(one, { concurrency: 2, within: perKey(), turn });
    expect(nested).toMatchObject({ name: 'laneBy(perKey)', lanes: { active: 2, turn, inside: perKey().lanes } });
    // 100 is a limit too, however it is said.
    expect(laneBy(one, { within: perKey(), turn }).lanes.turn).toEqual(turn);
    expect(laneBy(one, wrong({ concurrency: undefined, within: perKey(), turn })).lanes.turn).toEqual(turn);
  });

  it('refuses inside its lanes what reaches further than they do, and says where it belongs', () => {
    const outside = 'have to stand outside of perPartition(), and of a laneBy() without across';
    for (const around of [{}, { across: 'partition' }] as const) {
      const nest = (within: ConcurrencyStrategy) => (): unknown => laneBy(one, { ...around, within });
      expectRefusal(nest(perPartition()), "give a laneBy() around it across: 'topic' or 'all'");
      expectRefusal(nest(limited(2, perPartition())), 'laneBy(limited(2, perPartition)).lanes.inside.inside.by');
      expectRefusal(nest(laneBy(one, { across: 'all' })), outside);
      expectRefusal(nest(laneBy(one, { across: 'topic' })), outside);
      expectRefusal(nest(perKey({ nullKeys: 'one-lane' })), 'one lane for all partitions has to stand outside');
    }
    const inTopic = (within: ConcurrencyStrategy) => (): unknown => laneBy(one, { across: 'topic', within });
    expectRefusal(inTopic(laneBy(one, { across: 'all' })), "outside of a laneBy() across: 'topic'");
    const deep = laneBy(one, { across: 'all', within: laneBy(one, { across: 'all' }) });
    expectRefusal(inTopic(deep), "outside of a laneBy() across: 'topic'");
  });

  it('takes inside its lanes what reaches as far as they do, or less', () => {
    const insides = [
      perKey(),
      laneBy(one),
      perPartition(),
      perKey({ nullKeys: 'one-lane' }),
      laneBy(one, { across: 'topic' }),
    ];
    for (const within of insides) {
      expect(() => laneBy(one, { across: 'topic', within })).not.toThrow();
      expect(() => laneBy(one, { across: 'all', within })).not.toThrow();
    }
    expect(() => laneBy(one, { across: 'all', within: laneBy(one, { across: 'all' }) })).not.toThrow();
    expect(() => laneBy(one, { within: laneBy(one) })).not.toThrow();
  });

  it('refuses what is no function, and lanes across what there is not', () => {
    expectRefusal(() => laneBy(wrong('tenant')), 'laneBy.lane: expected a function that gives the name');
    for (const across of ['group', null, ''])
      expectRefusal(
        () => laneBy(one, { across: wrong(across) }),
        "laneBy.across: expected 'partition', 'topic' or 'all'",
      );
  });

  it('refuses a turn where no place is kept', () => {
    expectRefusal(() => laneBy(one, { turn: { maxMs: 50 } }), 'laneBy.turn: expected no turn without both');
    const open = { concurrency: 'unlimited', within: perKey(), turn: { maxMs: 50 } } as const;
    expectRefusal(() => laneBy(one, open), 'laneBy.turn: expected no turn without both');
  });
});

describe('every strategy', () => {
  const withConcurrency: Readonly<Record<string, (concurrency: number) => ConcurrencyStrategy>> = {
    perPartition: (concurrency) => perPartition({ concurrency }),
    perKey: (concurrency) => perKey({ concurrency }),
    parallel: (concurrency) => parallel({ concurrency }),
    limited: (concurrency) => limited(concurrency, perKey()),
    laneBy: (concurrency) => laneBy(one, { concurrency }),
  };

  describe.each(Object.entries(withConcurrency))('%s', (name, make) => {
    it.each([0, -1, 1.5, Number.NaN, unlimited, '3', null])('refuses concurrency %p', (concurrency) => {
      const message = `${name}.concurrency: expected a whole number, at least 1, or 'unlimited'`;
      expectRefusal(() => make(wrong(concurrency)), message);
    });
  });

  it('refuses options that there are not, and says which there are', () => {
    const unknown: object = wrong({ concurency: 3 });
    expectRefusal(() => perPartition(unknown), /perPartition.concurency: .*there is concurrency, within, turn/);
    expectRefusal(() => perKey(unknown), /perKey.concurency: .*there is concurrency, nullKeys/);
    expectRefusal(() => parallel(unknown), /parallel.concurency: .*there is concurrency/);
    expectRefusal(() => limited(2, perKey(), unknown), /limited.concurency: .*there is perSecond/);
    expectRefusal(() => laneBy(one, unknown), /laneBy.concurency: .*there is concurrency, across, within, turn/);
    expectRefusal(() => perKey(wrong(null)), 'perKey: expected an object with concurrency, nullKeys');
  });

  it('refuses what is no strategy inside', () => {
    for (const within of [{}, null, 'perKey', serial]) {
      expectRefusal(
        () => perPartition({ within: wrong(within) }),
        'perPartition.within: expected a concurrency strategy',
      );
      expectRefusal(() => laneBy(one, { within: wrong(within) }), 'laneBy.within: expected a concurrency strategy');
    }
  });

  it('refuses a strategy of somebody’s own inside that has no lanes', () => {
    const within: ConcurrencyStrategy = wrong({ kind: 'concurrency', name: 'mine' });
    expectRefusal(() => perPartition({ within }), 'perPartition.within.lanes: expected lane rules');
    expectRefusal(() => limited(2, within), 'limited.strategy.lanes: expected lane rules');
  });

  it('gives the lane function its record’s types, and does not compile what makes no sense', () => {
    const neverCalled = (): void => {
      laneBy((record) => {
        expectTypeOf(record).toEqualTypeOf<KafkaRecord>();
        return '';
      });
      laneBy<{ readonly customer: string }>((record) => record.value.customer);
      laneBy((record: KafkaRecord<{ readonly customer: string }, string>) => record.value.customer + record.key);
      // @ts-expect-error the value is bytes, as was said
      laneBy<Buffer>((record: KafkaRecord<{ readonly customer: string }>) => record.value.customer);
      // @ts-expect-error a name is a string
      laneBy((record) => record.offset);
      // @ts-expect-error a lane is known at once
      laneBy(async () => 'one');
      // @ts-expect-error serial has no options
      serial({ concurrency: 2 });
      // @ts-expect-error a strategy is made by calling it
      perPartition({ within: perKey });
      // @ts-expect-error records inside a partition are of that one
      perKey({ across: 'all' });
      // @ts-expect-error nothing stands inside a key
      perKey({ within: serial() });
      // @ts-expect-error what is to be limited
      limited(2);
      // @ts-expect-error one of three
      perKey({ nullKeys: 'skip' });
      // @ts-expect-error a number, or unlimited
      parallel({ concurrency: 'all' });
      // @ts-expect-error a turn has other names
      perPartition({ concurrency: 1, within: perKey(), turn: { records: 3 } });
    };
    expect(neverCalled).toBeInstanceOf(Function);
  });
});
