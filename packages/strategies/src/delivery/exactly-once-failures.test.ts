import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type FailurePolicy, Worker } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezePartition, parallel, perKey, perPartition, retry, serial, skip, stop } from '../index.ts';
import { type DatabaseUnderTest, openPGlite } from '../testing/database-under-test.ts';
import {
  DatabaseWorker,
  effectsOf,
  newGroup,
  storedOf,
  until,
  writeEffect,
  wrongIn,
} from '../testing/database-worker.ts';
import { exactlyOnce } from './exactly-once.ts';

/** Every promise about a failed record, under every kind of concurrency. */
const strategies = { serial: serial(), perPartition: perPartition(), perKey: perKey(), parallel: parallel() };
const names = Object.keys(strategies) as (keyof typeof strategies)[];
const once = ['0', '1', '2', '3', '4'];
const without2 = ['0', '1', '3', '4'];
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const mended = retry({ maxAttempts: 3, backoff: { initialMs: 10 }, then: stop() });

let under: DatabaseUnderTest;
beforeAll(async () => {
  under = await openPGlite();
}, 60_000);
afterAll(() => under.close());

describe.each(names)('exactlyOnce under %s, of a record that fails after it has sent,', (name) => {
  let kafka: FakeKafka;
  let hopeless: boolean;

  /** Five records, of which the third fails: `hopeless` always, else its first attempts. */
  async function start(onFailure: FailurePolicy): Promise<Worker> {
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, random: () => 0.5, onFailure },
      ...{ concurrency: strategies[name], delivery: exactlyOnce({ transactionalIdPrefix: 'test' }) },
      handler: ({ key, value, offset }, { send, attempt }) => {
        send({ topic: 'out', key, value });
        if (offset === 2 && (hopeless || attempt < 3)) throw new Error('after it has sent');
      },
    });
    worker.finished.catch(() => {});
    await worker.start();
    await kafka.clock.advance(30_000);
    return worker;
  }
  const written = (topic = 'out'): string[] => kafka.records(topic).map(({ value }) => String(value));
  const state = () => ({ out: written(), dead: written('dead'), next: kafka.committed('g', 't').get(0) });

  function fresh(isHopeless: boolean): void {
    hopeless = isHopeless;
    kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 }, dead: { partitions: 1 } } });
    kafka.send(once.map((value) => ({ topic: 't', key: value, value })));
  }

  it('retry writes the outputs of the attempt that succeeds, and no others', async () => {
    fresh(false);
    const worker = await start(mended);
    expect(state()).toEqual({ out: once, dead: [], next: 5 });
    await worker.stop();
  });

  it('skip writes nothing, and what comes behind it is written', async () => {
    fresh(true);
    const worker = await start(skip({ log: false }));
    expect(state()).toEqual({ out: without2, dead: [], next: 5 });
    await worker.stop();
  });

  it('deadLetter writes the dead letter once, in the place of its outputs', async () => {
    fresh(true);
    const worker = await start(deadLetter({ topic: 'dead' }));
    expect(state()).toEqual({ out: without2, dead: ['2'], next: 5 });
    await worker.stop();
  });

  it('freezePartition writes what lies before it, and the rest once it is unfrozen', async () => {
    fresh(true);
    const worker = await start(freezePartition());
    expect(state()).toEqual({ out: ['0', '1'], dead: [], next: 2 });
    await worker.unfreeze({ topic: 't', partition: 0, skip: true });
    await kafka.clock.advance(30_000);
    expect(state()).toEqual({ out: without2, dead: [], next: 5 });
    await worker.stop();
  });

  it('stop writes what lies before it, and a restart with a mended handler the rest', async () => {
    fresh(true);
    const worker = await start(stop());
    expect(worker.state).toBe('failed');
    expect(state()).toEqual({ out: ['0', '1'], dead: [], next: 2 });
    hopeless = false;
    await (await start(mended)).stop();
    expect(state()).toEqual({ out: once, dead: [], next: 5 });
  });
});

describe.each(names)('exactlyOnceInDatabase under %s, of a record that fails after it has written,', (name) => {
  async function start(group: string, hopeless: boolean, onFailure: FailurePolicy): Promise<DatabaseWorker> {
    const worker = new DatabaseWorker(under, [5], {
      group,
      options: {
        ...{ concurrency: strategies[name], onFailure },
        handler: async (record, { transaction, attempt }) => {
          await writeEffect(under, group, transaction, record);
          if (record.offset === 2 && (hopeless || attempt < 3)) throw new Error('after it has written');
        },
      },
    });
    worker.kafka.createTopic('dead', { partitions: 1 });
    return await worker.start();
  }
  const wrong = async (group: string, except: readonly string[]): Promise<string[]> =>
    wrongIn(await effectsOf(under, group), [5], except);

  it('retry keeps the writes of the attempt that succeeds, and no others', async () => {
    const group = newGroup();
    const worker = await start(group, false, mended);
    await worker.idle();
    await worker.stop();
    expect(await wrong(group, [])).toEqual([]);
    expect(await storedOf(under, group)).toEqual({ next: [5], finished: [] });
  });

  it.each([
    ['skip', skip({ log: false }), []],
    ['deadLetter', deadLetter({ topic: 'dead' }), ['2']],
  ] as const)('%s keeps no write of it, and those behind it', async (_what, onFailure, dead) => {
    const group = newGroup();
    const worker = await start(group, true, onFailure);
    await worker.idle();
    await worker.stop();
    expect(await wrong(group, ['0@2'])).toEqual([]);
    expect(await storedOf(under, group)).toEqual({ next: [5], finished: [] });
    expect(worker.kafka.records('dead').map(({ value }) => String(value))).toEqual(dead);
  });

  it('freezePartition keeps the offset at it, and goes on behind it once it is passed over', async () => {
    const group = newGroup();
    const worker = await start(group, true, freezePartition());
    const isFrozen = (): boolean => worker.worker.status().partitions.some(({ frozen }) => frozen.length > 0);
    await until([worker], isFrozen);
    await until([worker], async () => (await storedOf(under, group)).next[0] === 2);
    expect((await effectsOf(under, group)).get('0@2')).toBeUndefined();
    await worker.worker.unfreeze({ topic: 't', partition: 0, skip: true });
    await worker.idle();
    await worker.stop();
    expect(await wrong(group, ['0@2'])).toEqual([]);
    expect(await storedOf(under, group)).toEqual({ next: [5], finished: [] });
  });

  it('stop keeps the offset at it, and a restart with a mended handler does what is not done', async () => {
    const group = newGroup();
    const worker = await start(group, true, stop());
    await until([worker], () => worker.worker.state === 'failed');
    expect((await storedOf(under, group)).next).toEqual([2]);
    const next = await start(group, false, mended);
    await next.idle();
    await next.stop();
    expect(await wrong(group, [])).toEqual([]);
    expect(await storedOf(under, group)).toEqual({ next: [5], finished: [] });
  });
});
