import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { apiKey, type RequestFate, RequestProxy } from '../../../../scripts/request-proxy.ts';
import { TransactionalWork, until } from '../testing/transactional-work.ts';

const brokers = (process.env.KAFKA_BROKERS ?? '').split(',');
const onRealKafka = process.env.KAFKA_BROKERS === undefined ? describe.skip : describe;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const RECORDS = 2_000;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function proxyWith(decide: (key: number) => RequestFate): Promise<RequestProxy> {
  const proxy = await RequestProxy.start(brokers, decide);
  closing.push(() => proxy.close());
  return proxy;
}

async function prepared(): Promise<TransactionalWork> {
  const work = await TransactionalWork.prepare(brokers, RECORDS);
  closing.push(() => work.close());
  return work;
}

onRealKafka('a connection that is cut at the end of a transaction, under exactlyOnce', () => {
  it.each([
    ['and the broker has committed it', true],
    ['and the broker has never heard of that', false],
  ])(
    'leaves it to the committed offsets whether it landed, %s: nothing is repeated, nothing lost',
    async (_what, hasLanded) => {
      const work = await prepared();
      let ends = 0;
      let isArmed = false;
      let cuts = 0;
      const proxy = await proxyWith((key) => {
        // The next producer with the id: from then on everything passes again.
        if (key === apiKey.initProducerId) isArmed = false;
        if (key !== apiKey.endTransaction) return 'pass';
        // The client asks again by itself, and must not get an answer either.
        if (isArmed) return 'cut';
        // Three times, each in the middle of the work.
        if (++ends % 4 !== 0 || cuts === 3) return 'pass';
        isArmed = true;
        cuts++;
        return hasLanded ? 'cut-after-answer' : 'cut';
      });
      const outcomes: unknown[] = [];
      const logger = {
        ...quiet,
        warn: (message: string, fields?: object) => {
          if (/nobody had heard/.test(message)) outcomes.push((fields as { isCommitted: unknown }).isCommitted);
        },
      };
      const { worker, calls } = await work.start(proxy.brokers, logger);
      await work.expectExactlyOnce();
      expect(cuts).toBe(3);
      expect(outcomes).toEqual([hasLanded, hasLanded, hasLanded]);
      // What is kept is written again, without any handler.
      expect(calls.length).toBe(RECORDS);
      expect((await worker.stop()).error).toBeUndefined();
    },
    120_000,
  );
});

onRealKafka('transactions that can never be ended, under exactlyOnce', () => {
  it('end the worker when one producer after another has failed, and the next one finds everything as it was', async () => {
    const work = await prepared();
    let ends = 0;
    // From the fourth on, the broker hears of no end.
    const proxy = await proxyWith((key) => (key === apiKey.endTransaction && ++ends >= 4 ? 'cut' : 'pass'));
    const { worker } = await work.start(proxy.brokers, quiet, 1_000);
    await expect(worker.finished).rejects.toMatchObject({ code: 'COMMIT', retriable: false });
    const seen = work.values.length;
    expect(seen).toBeLessThan(RECORDS);
    await work.start();
    await work.expectExactlyOnce();
  }, 180_000);
});

onRealKafka('a revocation while a transaction is open, under exactlyOnce', () => {
  it('waits for its end before the partition is released', async () => {
    const work = await prepared();
    let ends = 0;
    let release = (): void => {};
    const held = new Promise<'pass'>((resolve) => {
      release = () => resolve('pass');
    });
    const proxy = await proxyWith((key) => (key === apiKey.endTransaction && ++ends >= 4 ? held : 'pass'));
    const first = await work.start(proxy.brokers);
    const events: string[] = [];
    first.worker.on('committed', () => void events.push('committed'));
    first.worker.on('revoked', ({ partitions }) => partitions.length > 0 && void events.push('revoked'));
    await until('a transaction is about to end', () => ends >= 4);
    events.length = 0;
    const second = await work.start();
    await until('the first one hears of it', () =>
      first.worker.health().reasons.includes('a rebalance is in progress'),
    );
    // Less than the step's time, so that it is the end of the transaction that is waited for.
    await sleep(1_000);
    expect(events).toEqual([]);
    expect(second.calls).toEqual([]);
    release();
    await until('the partition is released', () => events.includes('revoked'));
    expect(events[0]).toBe('committed');
    await work.expectExactlyOnce();
    expect(second.calls.length).toBeGreaterThan(0);
    expect(first.calls.length + second.calls.length).toBe(RECORDS);
  }, 120_000);
});
