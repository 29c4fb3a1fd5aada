import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type KafkaConsumer, type Logger, systemClock, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { apiKey, type RequestFate, RequestProxy } from '../../../../scripts/request-proxy.ts';
import { perKey } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const brokers = (process.env.KAFKA_BROKERS ?? '').split(',');
const onRealKafka = process.env.KAFKA_BROKERS === undefined ? describe.skip : describe;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const direct = confluentKafka({ brokers });
const clients = { clock: systemClock, logger: quiet };
const PARTITIONS = 2;
const RECORDS = 2_000;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(10);
  }
}

/** A filled topic, a topic for the outputs, and everything that is committed to that, as a reader sees it. */
async function topics(): Promise<{ readonly topic: string; readonly output: string; readonly values: string[] }> {
  const [topic, output] = [`in-${randomUUID()}`, `out-${randomUUID()}`];
  const [admin, producer] = [direct.admin(clients), direct.producer(clients)];
  const reader = direct.consumer({ ...clients, groupId: `r-${randomUUID()}`, groupProtocol: 'classic' });
  await Promise.all([admin, producer, reader].map((client) => client.connect({ timeoutMs: 20_000 })));
  for (const name of [topic, output]) await admin.createTopic(name, { partitions: PARTITIONS });
  const messages = Array.from({ length: RECORDS }, (_, i) => ({ topic, partition: i % PARTITIONS, value: `${i}` }));
  await Promise.all(messages.map((message) => producer.send({ ...message, key: `${Number(message.value) % 14}` })));
  await Promise.all([admin.close(), producer.close(5_000)]);
  const values: string[] = [];
  reader.subscribe([output]);
  let isOver = false;
  const reading = read(reader, values, () => isOver);
  closing.push(async () => {
    isOver = true;
    await reading;
    await reader.close();
  });
  return { topic, output, values };
}

async function read(consumer: KafkaConsumer, values: string[], isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const poll = await consumer.poll(500, 100);
    for (const { type, partitions } of poll.events) {
      if (type === 'assigned') consumer.assign(partitions.map((one) => ({ ...one, offset: 0 })));
      else consumer.release(partitions);
    }
    for (const { value } of poll.records) values.push(String(value));
  }
}

async function proxyWith(decide: (key: number) => RequestFate): Promise<RequestProxy> {
  const proxy = await RequestProxy.start(brokers, decide);
  closing.push(() => proxy.close());
  return proxy;
}

interface Work {
  readonly worker: Worker;
  /** Of every handler call. */
  readonly calls: string[];
}

async function work(
  through: readonly string[],
  topic: string,
  output: string,
  groupId: string,
  logger: Logger = quiet,
): Promise<Work> {
  const calls: string[] = [];
  const worker = new Worker({
    kafka: confluentKafka({ brokers: through }),
    ...{ groupId, topics: topic, logger, commit: { everyMs: 20 }, concurrency: perKey({ concurrency: 10 }) },
    delivery: exactlyOnce({ transactionalIdPrefix: groupId, transactionTimeoutMs: 3_000 }),
    // So little at once that there are many transactions, and little is handled while none can be committed.
    limits: { inFlightRecords: 100, inFlightBytes: 40_000 },
    handler: async ({ partition, value, key }, { send }) => {
      calls.push(String(value));
      send({ topic: output, partition, key, value });
      await sleep(Math.random() * 4);
    },
  });
  worker.finished.catch(() => {});
  closing.push(() => worker.stop());
  await worker.start();
  return { worker, calls };
}

/** Waits until all are there, and a little longer for what must not be. */
async function allOf(values: readonly string[]): Promise<void> {
  await until('every output is there', () => values.length >= RECORDS);
  await sleep(1_000);
  expect(values.length).toBe(RECORDS);
  for (let key = 0; key < 14; key++) {
    const expected = Array.from({ length: RECORDS }, (_, i) => i).filter((i) => i % 14 === key);
    expect(values.map(Number).filter((i) => i % 14 === key)).toEqual(expected);
  }
}

onRealKafka('a connection that is cut at the end of a transaction, under exactlyOnce', () => {
  it.each([
    ['and the broker has committed it', true],
    ['and the broker has never heard of that', false],
  ])(
    'leaves it to the committed offsets whether it landed, %s: nothing is repeated, nothing lost',
    async (_what, hasLanded) => {
      const { topic, output, values } = await topics();
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
      const { worker, calls } = await work(proxy.brokers, topic, output, `g-${randomUUID()}`, logger);
      await allOf(values);
      expect(cuts).toBe(3);
      expect(outcomes).toEqual([hasLanded, hasLanded, hasLanded]);
      // What is kept is written again, without any handler.
      expect(calls.length).toBe(RECORDS);
      expect((await worker.stop()).error).toBeUndefined();
    },
    120_000,
  );
});

onRealKafka('a revocation while a transaction is open, under exactlyOnce', () => {
  it('waits for its end before the partition is released', async () => {
    const { topic, output, values } = await topics();
    let ends = 0;
    let release = (): void => {};
    const held = new Promise<'pass'>((resolve) => {
      release = () => resolve('pass');
    });
    const proxy = await proxyWith((key) => (key === apiKey.endTransaction && ++ends >= 4 ? held : 'pass'));
    const groupId = `g-${randomUUID()}`;
    const first = await work(proxy.brokers, topic, output, groupId);
    const events: string[] = [];
    first.worker.on('committed', () => void events.push('committed'));
    first.worker.on('revoked', ({ partitions }) => partitions.length > 0 && void events.push('revoked'));
    await until('a transaction is about to end', () => ends >= 4);
    events.length = 0;
    const second = await work(brokers, topic, output, groupId);
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
    await allOf(values);
    expect(second.calls.length).toBeGreaterThan(0);
    expect(first.calls.length + second.calls.length).toBe(RECORDS);
  }, 120_000);
});
