import { describe, expect, it } from '@jest/globals';
import type { LaneRule } from './concurrency.ts';
import { InvalidOptionError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import { retryPolicy } from './retry-policy.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';
import { Worker } from './worker.ts';

const freezeKey: FailurePolicy = { ...always({ do: 'freeze', scope: 'key' }), may: ['freeze-key'] };
const nulls = (nullKeys: 'parallel' | 'per-partition' | 'one-lane'): LaneRule => ({ ...lanes.perKey, nullKeys });

function stageOf(
  keys: readonly (readonly (string | null)[])[],
  rule: LaneRule = lanes.perKey,
  rest: StageOptions = {},
): Stage {
  return new Stage(keys, { onFailure: freezeKey, concurrency: laneStrategy(rule), ...rest });
}

describe('a key with a record that failed, under freezeKey', () => {
  it('stands still, and every other key goes on, of its partition too', async () => {
    const stage = stageOf([
      ['a', 'b', 'a', 'c', 'b'],
      ['a', 'b'],
    ]);
    stage.fail('0@0');
    await stage.start();
    await stage.advance(2_000);
    stage.send(0, ['a', 'c']);
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@1', '0@3', '0@4', '1@0', '1@1', '0@6'].sort(byOrder(stage)));
    expect(stage.committed(0)).toBe(0);
    expect(stage.committed(1)).toBe(2);
    expect(stage.status(0)).toMatchObject({
      nextOffset: 0,
      inFlight: 3,
      frozen: [{ scope: 'key', offset: 0, key: 'a' }],
    });
    expect(stage.reasons()).toMatch(/^t\/0, key 'a', has been frozen at offset 0 for 4 s: 0@0 fails$/);
    stage.heal('0@0');
    await stage.worker.unfreeze({ ...at(0), key: 'a' });
    await stage.advance(2_000);
    expect(stage.handled.slice(-3)).toEqual(['0@0', '0@2', '0@5']);
    expect(stage.committed(0)).toBe(7);
    expect(stage.events).toEqual(['frozen key 0@0 a', 'unfrozen key 0 a']);
    expect(await stage.end()).toEqual([]);
  });

  it('goes on behind the record with skip, and freezes again at the next that fails', async () => {
    const stage = stageOf([['a', 'a', 'a', 'b']]);
    stage.fail('0@0');
    stage.fail('0@1');
    await stage.start();
    await stage.worker.unfreeze({ ...at(0), key: Buffer.from('a'), skip: true });
    await stage.advance(100);
    expect(stage.status().frozen).toMatchObject([{ offset: 1, key: 'a' }]);
    await stage.worker.unfreeze({ ...at(0), key: 'a', skip: true });
    await stage.advance(2_000);
    expect(stage.calls.filter((call) => call !== '0@3')).toEqual(['0@0', '0@1', '0@2']);
    expect(stage.committed()).toBe(4);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('goes on by the offset that it stands at, whatever its bytes are, and not when it stands at another one by then', async () => {
    const stage = stageOf([[]]);
    stage.kafka.send([[0xff], [0xfe], [0xff]].map((key) => ({ ...at(0), key: Buffer.from(key), value: '1' })));
    for (const name of ['0@0', '0@1', '0@2']) stage.fail(name);
    await stage.start();
    await stage.worker.unfreeze({ ...at(0), offset: 0, skip: true });
    await stage.advance(100);
    expect(stage.status().frozen).toMatchObject([{ offset: 1 }, { offset: 2 }]);
    await expect(stage.worker.unfreeze({ ...at(0), offset: 0, skip: true })).rejects.toThrow(
      "t/0 is not frozen at offset 0, but key '\ufffd' at 1, key '\ufffd' at 2 is: status() lists what is",
    );
    stage.heal('0@2');
    await stage.worker.unfreeze({ ...at(0), offset: 2 });
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@2']);
    expect(stage.status().frozen).toMatchObject([{ offset: 1 }]);
    expect(stage.committed()).toBe(1);
    expect(await stage.end()).toEqual([]);
  });

  it('is told from others by its bytes', async () => {
    const stage = stageOf([[]]);
    stage.kafka.send(
      [Buffer.from([0xff]), Buffer.from([0xfe]), Buffer.from([0xff])].map((key) => ({ ...at(0), key, value: '1' })),
    );
    stage.fail('0@0');
    await stage.start();
    expect(stage.handled).toEqual(['0@1']);
    await expect(stage.worker.unfreeze({ ...at(0), key: Buffer.from([0xfe]) })).rejects.toThrow('is not frozen');
    await stage.worker.unfreeze({ ...at(0), key: Buffer.from([0xff]), skip: true });
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@1', '0@2']);
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    ['per-partition', ['0@1', '1@0', '1@1']],
    ['one-lane', ['0@1']],
    ['parallel', ['0@1', '0@2', '0@3', '1@0', '1@1']],
  ] as const)('may be null, with null keys %s', async (nullKeys, handled) => {
    const stage = stageOf([[null, 'a', null, null], [null]], nulls(nullKeys));
    stage.fail('0@0');
    await stage.start();
    stage.send(1, [null]);
    await stage.advance(2_000);
    expect([...stage.handled].sort()).toEqual(handled);
    expect(stage.committed(0)).toBe(0);
    expect(stage.reasons()).toContain('t/0, key null, has been frozen at offset 0');
    stage.heal('0@0');
    await stage.worker.unfreeze({ ...at(0), key: null });
    await stage.advance(2_000);
    expect([stage.committed(0), stage.committed(1)]).toEqual([4, 2]);
    expect(await stage.end()).toEqual([]);
  });

  it('may be null many times where nothing orders null keys: with skip only the first is passed over', async () => {
    const stage = stageOf([[null, null, null, 'a']]);
    for (const name of ['0@0', '0@2']) stage.fail(name);
    await stage.start();
    expect(stage.status().frozen.map(({ offset }) => offset)).toEqual([0, 2]);
    await stage.worker.unfreeze({ ...at(0), key: null, skip: true });
    await stage.advance(100);
    expect(stage.calls.filter((call) => call === '0@2')).toHaveLength(2);
    expect(stage.status().frozen.map(({ offset }) => offset)).toEqual([2]);
    stage.heal('0@2');
    await stage.worker.unfreeze({ ...at(0), key: null });
    await stage.advance(2_000);
    expect(stage.committed()).toBe(4);
    expect(await stage.end()).toEqual([]);
  });

  it('freezes behind its retries', async () => {
    const onFailure = retryPolicy({ maxAttempts: 2, backoff: { initialMs: 100, jitter: 0 }, then: freezeKey });
    const stage = stageOf([['a', 'a', 'b']], lanes.perKey, { onFailure });
    stage.fail('0@0');
    await stage.start();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@2', '0@0']);
    expect(stage.status().frozen).toHaveLength(1);
    expect(await stage.end()).toEqual([]);
  });
});

/** Keys run beside each other: what counts here is who ran, not when. */
function byOrder({ handled }: Stage): (a: string, b: string) => number {
  const order = [...handled];
  return (a, b) => order.indexOf(a) - order.indexOf(b);
}

describe('a name of laneBy across partitions', () => {
  const byKey: LaneRule = { by: ({ key }) => String(key), across: 'all', active: 10, inside: { width: 1 } };

  it('names the record that holds it, also in the status of another partition', async () => {
    const stage = stageOf([['a'], ['a', 'b']], byKey);
    stage.fail('0@0');
    await stage.start();
    await stage.advance(2_000);
    expect(stage.status(1)).toMatchObject({
      nextOffset: 0,
      blockedBy: { topic: 't', partition: 0, offset: 0, key: 'a' },
    });
    expect(stage.status(1).frozen).toEqual([]);
    await stage.stop();
  });

  it('stands still as a whole, and is unfrozen by the partition of the record that failed', async () => {
    const stage = stageOf(
      [
        ['a', 'b'],
        ['a', 'b'],
      ],
      byKey,
    );
    stage.fail('0@0');
    await stage.start();
    await stage.advance(2_000);
    expect([...stage.handled].sort()).toEqual(['0@1', '1@1']);
    await expect(stage.worker.unfreeze({ ...at(1), key: 'a' })).rejects.toThrow("key 'a' of t/1 is not frozen");
    await stage.worker.unfreeze({ ...at(0), key: 'a', skip: true });
    await stage.advance(2_000);
    expect([stage.committed(0), stage.committed(1)]).toEqual([2, 2]);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('goes on elsewhere when the partition of the record that failed is taken away', async () => {
    const stage = stageOf([['a'], ['a', 'a']], byKey);
    stage.fail('0@0');
    await stage.start();
    expect(stage.handled).toEqual([]);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['1@0', '1@1']);
    expect(stage.committed(0)).toBe(0);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('stays frozen for the others of a batch whose first partition is taken away', async () => {
    const stage = stageOf([['a'], ['a', 'a']], byKey, { isBatch: true });
    stage.fail('0@0');
    await stage.start();
    expect(stage.batches).toEqual(['0@0 1@0 1@1']);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(2_000);
    expect(stage.status(1).frozen).toMatchObject([{ key: 'a', offset: 0 }]);
    await stage.worker.unfreeze({ ...at(1), key: 'a' });
    await stage.advance(2_000);
    expect(stage.batches.at(-1)).toBe('1@0 1@1');
    expect(stage.committed(1)).toBe(2);
    expect(await stage.end()).toEqual([]);
  });

  it('has none where the lane function threw: that record alone is frozen, as a key of null', async () => {
    const stage = stageOf([['a', 'odd', 'a']], {
      ...byKey,
      by: ({ key }) => {
        if (String(key) === 'odd') throw new Error('no lane');
        return String(key);
      },
    });
    await stage.start();
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@0', '0@2']);
    expect(stage.status().frozen).toMatchObject([{ scope: 'key', offset: 1, key: null }]);
    await stage.worker.unfreeze({ ...at(0), key: null, skip: true });
    await stage.advance(2_000);
    expect(stage.committed()).toBe(3);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a batch under freezeKey', () => {
  it('stands still at the records that failed alone, one after the other', async () => {
    const stage = stageOf([['a', 'a', 'a', 'a', 'b']], lanes.perKey, { isBatch: true, batch: { maxRecords: 3 } });
    stage.failingAlone.set('0@0', new Error('one'));
    stage.failingAlone.set('0@2', new Error('other'));
    await stage.start();
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@1', '0@4']);
    expect(stage.status().frozen.map(({ offset }) => offset)).toEqual([0, 2]);
    await stage.worker.unfreeze({ ...at(0), key: 'a', skip: true });
    await stage.advance(100);
    // The second one was tried again, failed again, and still nothing has overtaken it.
    expect(stage.batches.slice(2)).toEqual(['0@2']);
    expect(stage.status().frozen.map(({ offset }) => offset)).toEqual([2]);
    stage.failingAlone.clear();
    await stage.worker.unfreeze({ ...at(0), key: 'a' });
    await stage.advance(2_000);
    expect(stage.batches.slice(3)).toEqual(['0@2', '0@3']);
    expect(stage.committed()).toBe(5);
    expect(await stage.end()).toEqual([]);
  });
});

describe('records of a batch that wait for different things', () => {
  it('come back in their order, whichever wait ends first', async () => {
    const onFailure: FailurePolicy = {
      kind: 'failure',
      name: 'by record',
      decide: ({ record }) => ({ do: 'freeze', scope: record.offset === 0 ? 'key' : 'partition' }),
    };
    const stage = stageOf([['a', 'a']], lanes.perKey, { isBatch: true, onFailure });
    stage.failingAlone.set('0@0', new Error('one'));
    stage.failingAlone.set('0@1', new Error('other'));
    await stage.start();
    stage.failingAlone.clear();
    await stage.worker.unfreeze(at(0));
    await stage.advance(100);
    expect(stage.handled).toEqual([]);
    await stage.worker.unfreeze({ ...at(0), key: 'a' });
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@0', '0@1']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('frozen keys', () => {
  const keys = (n: number, prefix = 'k'): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`);

  it('take nothing of the in-flight limit from the others: neither the records that failed, nor what waits behind them', async () => {
    const stage = stageOf([[]], lanes.perKey, { limits: { inFlightRecords: 10 } });
    for (let i = 0; i < 30; i++) stage.fail(`0@${i}`);
    await stage.start();
    stage.send(0, keys(30));
    await stage.advance(5_000);
    expect(stage.status().frozen).toHaveLength(30);
    for (let round = 0; round < 10; round++) {
      stage.send(0, [...keys(5), ...keys(5, 'other')]);
      await stage.advance(1_000);
    }
    expect(stage.handled).toHaveLength(50);
    expect(stage.status()).toMatchObject({ inFlight: 80, nextOffset: 0 });
    for (let i = 0; i < 30; i++) {
      stage.heal(`0@${i}`);
      await stage.worker.unfreeze({ ...at(0), key: `k${i}` });
    }
    await stage.advance(10_000);
    expect(stage.committed()).toBe(130);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('give all room back when they are unfrozen, so that the limit holds again', async () => {
    const stage = stageOf([['a', ...Array<string>(20).fill('a')]], lanes.perKey, { limits: { inFlightRecords: 30 } });
    stage.fail('0@0');
    await stage.start();
    await stage.advance(1_000);
    stage.heal('0@0');
    stage.hold('0@1');
    await stage.worker.unfreeze({ ...at(0), key: 'a' });
    // A poll that was asked for more before is over.
    await stage.advance(0);
    stage.send(0, keys(200));
    for (let i = 21; i < 221; i++) stage.hold(`0@${i}`);
    await stage.advance(5_000);
    expect(stage.worker.status().inFlightRecords).toBeLessThanOrEqual(30);
    await stage.stop();
    expect(stage.broken).toEqual([]);
  });

  it('stop the intake of their partition at the bound on what is ahead, loudly, and let it go on when they are unfrozen', async () => {
    const warnings: string[] = [];
    const logger = { debug() {}, info() {}, error() {}, warn: (message: string) => void warnings.push(message) };
    const stage = stageOf([['a'], []], lanes.perKey, { limits: { aheadOfFrontier: 50 }, logger });
    stage.fail('0@0');
    await stage.start();
    for (let i = 0; i < 20; i++) {
      stage.send(0, keys(10));
      await stage.advance(100);
    }
    stage.send(1, keys(10));
    await stage.advance(5_000);
    const { nextOffset, inFlight } = stage.status(0);
    expect({ nextOffset, inFlight }).toEqual({ nextOffset: 0, inFlight: 1 });
    expect(stage.handled.length).toBeGreaterThanOrEqual(49 + 10);
    expect(stage.handled.length).toBeLessThan(200);
    expect(stage.committed(1)).toBe(10);
    expect(stage.reasons()).toMatch(/t\/0 takes no more records: \d+ lie above unfinished offset 0/);
    expect(warnings).toContain('a partition is held back: too many of its records wait for one that is not finished');
    await stage.worker.unfreeze({ ...at(0), key: 'a', skip: true });
    await stage.advance(5_000);
    expect(stage.committed(0)).toBe(201);
    expect(await stage.end()).toEqual([]);
  });

  it('stop the intake of their partition also when too many bytes wait behind them', async () => {
    const stage = stageOf([['a'], []], lanes.perKey, { limits: { inFlightBytes: 5_000 } });
    stage.fail('0@0');
    await stage.start();
    for (let i = 0; i < 40; i++) {
      stage.kafka.send([{ ...at(0), key: 'a', value: 'x'.repeat(900) }]);
      await stage.advance(1_000);
    }
    stage.send(1, keys(10));
    await stage.advance(5_000);
    const { inFlightBytes } = stage.worker.status();
    expect(inFlightBytes).toBeGreaterThan(4_000);
    expect(inFlightBytes).toBeLessThan(12_000);
    expect(stage.committed(1)).toBe(10);
    expect(stage.reasons()).toContain('t/0 takes no more records');
    await stage.worker.unfreeze({ ...at(0), key: 'a', skip: true });
    await stage.advance(5_000);
    expect(stage.committed(0)).toBe(41);
    expect(await stage.end()).toEqual([]);
  });

  it('do not keep back a partition that is sought, also when its bytes were too many', async () => {
    const stage = stageOf([Array.from({ length: 200 }, () => 'a')], lanes.perKey, { limits: { inFlightBytes: 500 } });
    stage.fail('0@0');
    await stage.start();
    await stage.advance(5_000);
    expect(stage.reasons()).toContain('t/0 takes no more records');
    const sought = stage.worker.seek(at(0), 1);
    await stage.advance(1_000);
    await sought;
    await stage.advance(30_000);
    expect(stage.handled).toHaveLength(199);
    expect(stage.reasons()).toBe('');
    expect(stage.committed()).toBe(200);
    await stage.stop();
  });
});

describe('a frozen key whose partition is', () => {
  it('revoked, lost or sought, is forgotten, and the failed record comes first', async () => {
    for (const how of ['revoke', 'lose', 'seek'] as const) {
      const stage = stageOf([['a', 'a', 'b']]);
      stage.fail('0@0');
      await stage.start();
      await stage.advance(2_000);
      stage.heal('0@0');
      if (how === 'seek') {
        const sought = stage.worker.seek(at(0), 0);
        await stage.advance(2_000);
        await sought;
      } else {
        stage.kafka.group('g')[how]([at(0)]);
        await stage.advance(100);
        stage.kafka.group('g').rebalance();
        await stage.advance(2_000);
      }
      expect(stage.calls.filter((name) => name !== '0@2')).toEqual(['0@0', '0@0', '0@1']);
      expect(stage.committed()).toBe(3);
      expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
      expect(await stage.end()).toEqual([]);
    }
  });

  it('paused, stays frozen, and keeps its order, in whichever order both end', async () => {
    for (const first of ['resume', 'unfreeze'] as const) {
      const stage = stageOf([['a', 'a', 'b', 'a']]);
      stage.fail('0@0');
      await stage.start();
      await stage.advance(100);
      stage.worker.pause([at(0)]);
      stage.send(0, ['a', 'c']);
      await stage.advance(100);
      stage.heal('0@0');
      const unfreeze = (): Promise<void> => stage.worker.unfreeze({ ...at(0), key: 'a' });
      if (first === 'resume') {
        stage.worker.resume([at(0)]);
        await stage.advance(2_000);
        expect(stage.calls).toEqual(['0@0', '0@2', '0@5']);
        await unfreeze();
      } else {
        await unfreeze();
        await stage.advance(2_000);
        expect(stage.calls).toEqual(['0@0', '0@2']);
        stage.worker.resume([at(0)]);
      }
      await stage.advance(2_000);
      expect(stage.handled.filter((name) => name !== '0@2' && name !== '0@5')).toEqual(['0@0', '0@1', '0@3', '0@4']);
      expect(stage.committed()).toBe(6);
      expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
      expect(await stage.end()).toEqual([]);
    }
  });
});

describe('freezeKey', () => {
  const base = { groupId: 'g', topics: 't', handler: () => {} };

  it.each(['serial', 'perPartition', 'parallel'] as const)(
    'is refused under %s, which has no lanes of keys',
    (name) => {
      const { kafka } = new Stage([[]]);
      const make = (onFailure: FailurePolicy) => () =>
        new Worker({ ...base, kafka, onFailure, concurrency: laneStrategy(lanes[name]) });
      expect(make(freezeKey)).toThrow(InvalidOptionError);
      expect(make(freezeKey)).toThrow('onFailure: expected a policy without freezeKey()');
      expect(make(retryPolicy({ then: freezeKey }))).toThrow('onFailure: expected a policy without freezeKey()');
    },
  );

  it('ends the worker when a policy that does not say what it may decides it all the same', async () => {
    const stage = new Stage([['a']], { onFailure: always({ do: 'freeze', scope: 'key' }) });
    stage.fail('0@0');
    await stage.start();
    expect(await stage.stop()).toMatchObject({ state: 'failed', left: [{ offset: 0 }] });
    expect(stage.errors[0]?.message).toContain('said freeze key under a concurrency without key lanes');
  });
});
