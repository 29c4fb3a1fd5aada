import { describe, expect, it } from '@jest/globals';
import { json } from './deserializer.ts';
import { IllegalStateError } from './errors.ts';
import type { WorkerEvents } from './events.ts';
import { retryPolicy } from './retry-policy.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

const freeze = always({ do: 'freeze', scope: 'partition' });
const byHeader = {
  by: ({ key }: { key: unknown }) => String(key),
  across: 'all',
  active: 10,
  inside: { width: 1 },
} as const;

function stageOf(keys: readonly (readonly (string | null)[])[], rest: StageOptions = {}): Stage {
  return new Stage(keys, { onFailure: freeze, ...rest });
}

describe('a partition with a record that failed, under freezePartition', () => {
  it.each(Object.entries({ ...lanes, byHeader }))('stands still under %s, and the others go on', async (name, rule) => {
    const stage = stageOf(
      [
        ['a', 'b', 'c', 'a'],
        ['a', 'b', 'c', 'd'],
      ],
      { concurrency: laneStrategy(rule) },
    );
    for (const call of ['0@0', '0@1', '0@2', '0@3']) stage.durations.set(call, 10);
    stage.fail('0@1');
    await stage.start();
    await stage.advance(5_000);
    stage.send(0, ['x', 'y']);
    stage.send(1, ['x']);
    await stage.advance(5_000);
    expect(stage.handled).toEqual(expect.arrayContaining(['0@0', '1@0', '1@1', '1@2', '1@3', '1@4']));
    expect(stage.calls.filter((call) => call === '0@1')).toHaveLength(1);
    expect(stage.calls).not.toContain('0@4');
    // What had started when it failed may end; what had not is kept.
    const isOrdered = name === 'serial' || name === 'perPartition';
    if (isOrdered) expect(stage.calls).not.toContain('0@2');
    expect([stage.committed(0), stage.committed(1)]).toEqual([1, 5]);
    expect(stage.status(0)).toMatchObject({
      nextOffset: 1,
      frozen: [{ scope: 'partition', offset: 1, error: '0@1 fails' }],
    });
    expect(stage.reasons()).toMatch(/^t\/0 has been frozen at offset 1 for \d+ s: 0@1 fails$/);
    expect(stage.events).toEqual([`frozen partition 0@1 b`]);

    stage.heal('0@1');
    await stage.worker.unfreeze(at(0));
    await stage.advance(5_000);
    expect(stage.committed(0)).toBe(6);
    expect(stage.attempts.get('0@1')).toBe(2);
    expect([...stage.handled].sort()).toEqual([
      '0@0',
      '0@1',
      '0@2',
      '0@3',
      '0@4',
      '0@5',
      '1@0',
      '1@1',
      '1@2',
      '1@3',
      '1@4',
    ]);
    if (isOrdered)
      expect(stage.handled.filter((one) => one.startsWith('0'))).toEqual(['0@0', '0@1', '0@2', '0@3', '0@4', '0@5']);
    expect(stage.events.slice(1)).toEqual(['unfrozen partition 0 b']);
    expect(stage.reasons()).toBe('');
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    ['an error', 'partition', new RangeError('no')],
    ['an error', 'key', new RangeError('no')],
    ['what is no error', 'partition', 'no'],
  ] as const)(
    'tells by an event where it stands, and of %s that the handler threw: a %s',
    async (_what, scope, thrown) => {
      const stage = stageOf([['a', 'b']], {
        concurrency: laneStrategy(lanes.perKey),
        onFailure: always({ do: 'freeze', scope }),
      });
      stage.fail('0@1', thrown);
      const told: Parameters<WorkerEvents['frozen']>[0][] = [];
      await stage.start({}, (worker) => void worker.on('frozen', (event) => void told.push(event)));
      await stage.advance(2_000);
      expect(told).toEqual([{ ...at(0), scope, key: 'b', offset: 1, error: thrown }]);
      // Not a copy: its class, its cause and its own fields are there.
      expect(told[0]?.error).toBe(thrown);
      expect(stage.status().frozen).toMatchObject([
        { scope, key: 'b', offset: 1, error: expect.stringMatching(/(^|: )no$/) },
      ]);
      await stage.stop();
      expect(stage.broken).toEqual([]);
    },
  );

  it('takes nothing more from Kafka, and what it has keeps its place', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    const polled: number[] = [];
    await stage.start({}, (worker) => void worker.on('polled', ({ records }) => void polled.push(records)));
    stage.send(0, ['c', 'd']);
    await stage.advance(60_000);
    expect(polled.reduce((sum, records) => sum + records, 0)).toBeLessThanOrEqual(2);
    await stage.end();
  });

  it('goes on behind the record when it is unfrozen with skip, in its order', async () => {
    const stage = stageOf([['a', 'b', 'c']]);
    stage.fail('0@1');
    await stage.start();
    await stage.advance(2_000);
    await stage.worker.unfreeze({ ...at(0), skip: true });
    stage.send(0, ['d']);
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@2', '0@3']);
    expect(stage.events).toEqual(['frozen partition 0@1 b', 'skipped 0@1', 'unfrozen partition 0 b skipped']);
    expect(stage.committed()).toBe(4);
    expect(await stage.end()).toEqual([]);
  });

  it('freezes again when the record fails again, as often as it does', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    await stage.start();
    for (let i = 0; i < 3; i++) {
      await stage.worker.unfreeze(at(0));
      await stage.advance(100);
    }
    expect(stage.calls).toEqual(['0@0', '0@0', '0@0', '0@0']);
    expect(stage.attempts.get('0@0')).toBe(4);
    expect(stage.events.filter((event) => event.startsWith('frozen'))).toHaveLength(4);
    expect(stage.worker.status().inFlightRecords).toBe(2);
    expect(await stage.end()).toEqual([]);
  });

  it('freezes behind its retries, and gets one attempt more when it is unfrozen', async () => {
    const stage = stageOf([['a', 'b']], {
      onFailure: retryPolicy({ maxAttempts: 3, backoff: { initialMs: 100, jitter: 0 }, then: freeze }),
    });
    stage.fail('0@0');
    await stage.start();
    await stage.advance(5_000);
    expect(stage.attempts.get('0@0')).toBe(3);
    expect(stage.status().frozen).toHaveLength(1);
    await stage.worker.unfreeze(at(0));
    await stage.advance(5_000);
    expect(stage.attempts.get('0@0')).toBe(4);
    expect(stage.status().frozen).toHaveLength(1);
    expect(await stage.end()).toEqual([]);
  });

  it('refuses to unfreeze what is not frozen, and says what is', async () => {
    const stage = stageOf([['a'], ['a']]);
    stage.fail('0@0');
    const worker = await stage.start();
    const wrong = worker.unfreeze(at(1));
    await expect(wrong).rejects.toThrow(IllegalStateError);
    await expect(wrong).rejects.toThrow('t/1 is not frozen: status() lists what is');
    await expect(worker.unfreeze({ ...at(0), key: 'a' })).rejects.toThrow(
      "key 'a' of t/0 is not frozen, but the partition is: status() lists what is",
    );
    await expect(worker.unfreeze({ ...at(0), key: null })).rejects.toThrow('key null of t/0 is not frozen');
    await worker.unfreeze(at(0));
    await stage.advance(10);
    await expect(worker.unfreeze({ topic: 'other', partition: 0 })).rejects.toThrow('other/0 is not frozen');
    await stage.stop();
    await expect(worker.unfreeze(at(0))).rejects.toThrow('the worker is stopped: nothing can be unfrozen');
  });

  it.each([
    [{ topic: 't' }, 'which: expected'],
    [{ ...at(-1) }, 'which.partition: expected'],
    [{ ...at(0), key: 5 }, 'key'],
    [{ ...at(0), skip: 'yes' }, 'skip'],
    [{ ...at(0), offset: '7' }, 'offset'],
    [{ ...at(0), offset: 7, key: 'a' }, 'offset: expected a whole number, and no key beside it'],
  ])('refuses to unfreeze %j', async (which, option) => {
    const stage = stageOf([['a']]);
    const worker = await stage.start();
    await expect(worker.unfreeze(which as never)).rejects.toThrow(option);
    await stage.end();
  });
});

describe('when a partition freezes', () => {
  it('what runs of it may end, and what then waits for a retry is kept', async () => {
    const policy = {
      kind: 'failure' as const,
      name: 'by record',
      decide: ({ record }: { record: { offset: number } }) =>
        record.offset === 0 ? ({ do: 'freeze', scope: 'partition' } as const) : ({ do: 'retry', afterMs: 50 } as const),
    };
    const stage = stageOf([['a', 'b', 'c', 'b', 'd']], { concurrency: laneStrategy(lanes.perKey), onFailure: policy });
    stage.hold('0@0', '0@1', '0@2', '0@4');
    for (const name of ['0@0', '0@1', '0@4']) stage.fail(name);
    await stage.start();
    await stage.open('0@4');
    await stage.open('0@0');
    await stage.open('0@1', '0@2');
    await stage.advance(10_000);
    expect(stage.handled).toEqual(['0@2']);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@2', '0@4']);
    expect(stage.status()).toMatchObject({ inFlight: 4, nextOffset: 0 });
    stage.heal('0@0', '0@1', '0@4');
    await stage.worker.unfreeze(at(0));
    await stage.advance(2_000);
    expect(stage.handled.slice(1).sort()).toEqual(['0@0', '0@1', '0@3', '0@4']);
    expect(stage.handled.indexOf('0@1')).toBeLessThan(stage.handled.indexOf('0@3'));
    expect(stage.committed()).toBe(5);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('a dead letter of it is still written, and its lane goes on when it is unfrozen', async () => {
    const policy = {
      kind: 'failure' as const,
      name: 'by record',
      decide: ({ record }: { record: { offset: number } }) =>
        record.offset === 1
          ? ({ do: 'freeze', scope: 'partition' } as const)
          : ({ do: 'dead-letter', topic: 'dead' } as const),
    };
    const stage = stageOf([['a', 'b', 'a']], { concurrency: laneStrategy(lanes.perKey), onFailure: policy });
    stage.fail('0@0');
    stage.fail('0@1');
    const hold = stage.kafka.hold('send');
    await stage.start();
    await stage.worker.unfreeze({ ...at(0), skip: true });
    await stage.advance(1_000);
    // Behind the dead letter.
    expect(stage.calls).toEqual(['0@0', '0@1']);
    hold.release();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@2']);
    expect(stage.committed()).toBe(3);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a frozen partition that is', () => {
  async function frozen(rest: StageOptions = {}): Promise<Stage> {
    const stage = stageOf([['a', 'b', 'c']], rest);
    stage.fail('0@1');
    await stage.start();
    await stage.advance(2_000);
    expect(stage.committed()).toBe(1);
    return stage;
  }

  it('revoked, is released at once, and begins with the failed record wherever it goes', async () => {
    const stage = await frozen();
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(100);
    expect(stage.kafka.group('g').assignment()).toEqual([]);
    expect(stage.reasons()).not.toContain('frozen');
    await expect(stage.worker.unfreeze(at(0))).rejects.toThrow('is not frozen');
    stage.heal('0@1');
    stage.kafka.group('g').rebalance();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@1', '0@2']);
    expect(stage.attempts.get('0@1')).toBe(1);
    expect(stage.committed()).toBe(3);
    expect(await stage.end()).toEqual([]);
  });

  it('lost, is frozen no more', async () => {
    const stage = await frozen();
    stage.kafka.group('g').lose([at(0)]);
    stage.heal('0@1');
    await stage.advance(100);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    stage.kafka.group('g').rebalance();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@1', '0@2']);
    expect(await stage.end()).toEqual([]);
  });

  it('sought, goes on there', async () => {
    const stage = await frozen();
    const sought = stage.worker.seek(at(0), 2);
    await stage.advance(2_000);
    await sought;
    expect(stage.calls).toEqual(['0@0', '0@1', '0@2']);
    expect(stage.status().frozen).toEqual([]);
    const back = stage.worker.seek(at(0), 0);
    await stage.advance(2_000);
    await back;
    expect(stage.calls.slice(3)).toEqual(['0@0', '0@1']);
    expect(stage.status().frozen).toHaveLength(1);
    await stage.stop();
  });

  it.each(['in-flight', 'drain'] as const)('left by a stop (%s), comes first after a restart', async (mode) => {
    const stage = await frozen();
    const summary = await stage.stop({ mode });
    expect(summary).toMatchObject({ state: 'stopped', handled: 1, failed: 0, left: [{ ...at(0), offset: 1 }] });
    stage.heal('0@1');
    await stage.start();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@1', '0@2']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('frozen partitions', () => {
  const keys = (n: number): string[] => Array.from({ length: n }, (_, i) => `${i}`);

  it('take nothing of the in-flight limit from the others, also when one freezes after the other', async () => {
    const limits = { inFlightRecords: 20, inFlightBytes: 1_000_000 };
    const stage = stageOf([keys(100), keys(100), keys(100), keys(100), keys(5)], { limits });
    for (let partition = 0; partition < 4; partition++) stage.fail(`${partition}@${partition}`);
    await stage.start();
    let most = 0;
    for (let round = 0; round < 40; round++) {
      stage.send(4, keys(10));
      await stage.advance(500);
      most = Math.max(most, stage.worker.status().inFlightRecords);
    }
    expect(stage.worker.status().partitions.map(({ frozen }) => frozen.length)).toEqual([1, 1, 1, 1, 0]);
    expect(stage.committed(4)).toBe(405);
    expect(most).toBeLessThanOrEqual(2.5 * limits.inFlightRecords);
    for (let partition = 0; partition < 4; partition++) {
      stage.heal(`${partition}@${partition}`);
      await stage.worker.unfreeze(at(partition));
    }
    await stage.advance(20_000);
    expect([0, 1, 2, 3].map((partition) => stage.committed(partition))).toEqual([100, 100, 100, 100]);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('may be many: a limit smaller than their number still lets the last one work', async () => {
    const partitions = 30;
    const stage = stageOf(
      Array.from({ length: partitions }, () => keys(40)),
      { limits: { inFlightRecords: 10 } },
    );
    for (let partition = 0; partition < partitions - 1; partition++) stage.fail(`${partition}@0`);
    await stage.start();
    await stage.advance(60_000);
    expect(stage.committed(partitions - 1)).toBe(40);
    expect(stage.worker.status().partitions.filter(({ frozen }) => frozen.length > 0)).toHaveLength(partitions - 1);
    await stage.stop();
    expect(stage.broken).toEqual([]);
  });
});

describe('a batch under freezePartition', () => {
  const batched = { isBatch: true, batch: { maxRecords: 4 } } as const;

  it('freezes every partition that it has records of, and each goes on with its own part', async () => {
    const stage = stageOf([['a', 'b'], ['a', 'b'], []], { ...batched, concurrency: laneStrategy(lanes.serial) });
    stage.fail('0@0');
    await stage.start();
    stage.send(2, ['x']);
    await stage.advance(2_000);
    const [first] = stage.batches;
    expect(first?.split(' ').sort()).toEqual(['0@0', '0@1', '1@0', '1@1']);
    expect(stage.handled).toEqual(['2@0']);
    expect([0, 1].map((partition) => stage.status(partition).frozen.map(({ offset }) => offset))).toEqual([[0], [0]]);
    await stage.worker.unfreeze(at(1));
    await stage.advance(100);
    expect(stage.batches.at(-1)).toBe('1@0 1@1');
    await stage.worker.unfreeze({ ...at(0), skip: true });
    await stage.advance(2_000);
    expect(stage.batches.at(-1)).toBe('0@1');
    expect([stage.committed(0), stage.committed(1)]).toEqual([2, 2]);
    expect(await stage.end()).toEqual([]);
  });

  it('stands still at a record that failed alone: the others of the call count', async () => {
    const stage = stageOf([['a', 'b', 'c', 'd', 'e']], batched);
    stage.failingAlone.set('0@1', new Error('one'));
    stage.failingAlone.set('0@3', new Error('other'));
    await stage.start();
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@0', '0@2']);
    expect(stage.status()).toMatchObject({ nextOffset: 1, inFlight: 3, frozen: [{ offset: 1, error: 'one' }] });
    // Only what it was frozen at is passed over; what failed beside it is tried again.
    await stage.worker.unfreeze({ ...at(0), skip: true });
    await stage.advance(100);
    expect(stage.status().frozen).toMatchObject([{ offset: 3 }]);
    stage.failingAlone.clear();
    await stage.worker.unfreeze(at(0));
    await stage.advance(2_000);
    expect(stage.batches).toEqual(['0@0 0@1 0@2 0@3', '0@3', '0@3', '0@4']);
    expect(stage.committed()).toBe(5);
    expect(await stage.end()).toEqual([]);
  });

  it('stands still at a record that cannot be decoded, and nothing behind it overtakes it', async () => {
    const stage = stageOf([['a', 'b']], { ...batched, value: json() as never });
    stage.kafka.send([{ ...at(0), value: 'no { json' }]);
    stage.send(0, ['d']);
    await stage.start();
    await stage.advance(2_000);
    expect(stage.status().frozen).toMatchObject([{ offset: 2 }]);
    await stage.worker.unfreeze(at(0));
    await stage.advance(100);
    expect(stage.handled).toEqual(['0@0', '0@1']);
    expect(stage.status()).toMatchObject({ nextOffset: 2, frozen: [{ offset: 2 }] });
    await stage.worker.unfreeze({ ...at(0), skip: true });
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@0', '0@1', '0@3']);
    expect(stage.committed()).toBe(4);
    expect(await stage.end()).toEqual([]);
  });
});
