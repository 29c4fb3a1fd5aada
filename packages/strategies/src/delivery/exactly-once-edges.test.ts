import { describe, expect, it } from '@jest/globals';
import {
  type CommonWorkerOptions,
  type HandlerContext,
  type KafkaRecord,
  TransactionError,
  Worker,
} from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezePartition, parallel, stop } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const delivery = exactlyOnce({ transactionalIdPrefix: 'test' });

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;
type Handler = (record: KafkaRecord, context: HandlerContext) => unknown;

function clusterWith(...values: readonly string[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 }, dead: { partitions: 1 } } });
  kafka.send(values.map((value) => ({ topic: 't', partition: 0, key: value, value })));
  return kafka;
}

async function started(kafka: FakeKafka, handler: Handler, rest: Rest = {}): Promise<Worker> {
  const worker = new Worker({
    ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, delivery, handler, onFailure: stop() },
    ...rest,
  });
  worker.finished.catch(() => {});
  await worker.start();
  return worker;
}

const copy: Handler = ({ value }, { send }) => send({ topic: 'out', value });
const outputs = (kafka: FakeKafka, topic = 'out'): string[] => kafka.records(topic).map(({ value }) => String(value));
const committed = (kafka: FakeKafka, partition = 0): number | undefined => kafka.committed('g', 't').get(partition);
const fatal = () => new TransactionError('fatal', 'the test says so', { kafkaCode: 90 });

describe('A seek under exactlyOnce', () => {
  it.each([
    ['to the same end', 3],
    ['short of it', 2],
  ])('writes again what it goes back over, though the commit of it was lost on its way, %s', async (_how, count) => {
    const kafka = clusterWith('a', 'b', 'c');
    let last = 3;
    const handler: Handler = async (record, context) => {
      if (record.offset >= last) await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 60_000));
      copy(record, context);
    };
    const worker = await started(kafka, handler);
    await kafka.clock.advance(1_000);
    expect(committed(kafka)).toBe(3);
    last = count;
    kafka.fail('commit-transaction', 2, fatal);
    await worker.seek({ topic: 't', partition: 0 }, 0);
    await kafka.clock.advance(30_000);
    expect(outputs(kafka)).toEqual(['a', 'b', 'c', ...['a', 'b', 'c'].slice(0, count)]);
    expect(committed(kafka)).toBe(count);
    const stopping = worker.stop();
    await kafka.clock.advance(120_000);
    await stopping;
  });

  it('loses nothing of what was finished before it', async () => {
    const kafka = clusterWith('a', 'b', 'c', 'd');
    const slow: Handler = async (record, context) => {
      copy(record, context);
      if (record.offset === 2) await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 60_000));
    };
    const worker = await started(kafka, slow, { commit: { everyMs: 600_000 } });
    await kafka.clock.settle();
    const done = worker.seek({ topic: 't', partition: 0 }, 3);
    await kafka.clock.advance(5_000);
    await done;
    await kafka.clock.advance(60_000);
    await worker.stop();
    expect([outputs(kafka), committed(kafka)]).toEqual([['a', 'b', 'd'], 4]);
  });
});

const unwritable: Handler = ({ value, offset }, { send }) =>
  send({ topic: 'out', partition: offset === 1 ? 9 : 0, value });

describe('What is too much for one transaction', () => {
  it('is written in the next ones, also where nothing else of a partition was written and nothing comes after it', async () => {
    const kafka = clusterWith('many');
    kafka.send([{ topic: 't', partition: 1, key: 'one', value: 'one' }]);
    const handler: Handler = ({ value }, { send }) => {
      for (let i = 0; i < (String(value) === 'many' ? 10_001 : 1); i++) send({ topic: 'out', value });
    };
    const worker = await started(kafka, handler);
    await kafka.clock.advance(10_000);
    expect([committed(kafka, 0), committed(kafka, 1), outputs(kafka).length]).toEqual([1, 1, 10_002]);
    await worker.stop();
  });

  it('is less when brokers have no time for as much: not every producer fails for the same reason until the worker does', async () => {
    const values = Array.from({ length: 3_000 }, (_, i) => `${i}`);
    const kafka = clusterWith(...values);
    const transactionalProducer: FakeKafka['transactionalProducer'] = (options) => {
      const producer = kafka.transactionalProducer(options);
      const sendAll = producer.sendAll.bind(producer);
      const send = producer.send.bind(producer);
      let sent = 0;
      const begin = producer.begin.bind(producer);
      producer.begin = () => {
        sent = 0;
        return begin();
      };
      // The broker has ended the transaction, which has taken too long.
      producer.send = (message) => (++sent > 10 ? Promise.reject(fatal()) : send(message));
      producer.sendAll = async (messages, timeoutMs) => {
        const all = [...messages];
        if (all.length > 10) throw fatal();
        await sendAll(all, timeoutMs);
      };
      return producer;
    };
    const worker = await started({ ...kafka, transactionalProducer }, copy);
    await kafka.clock.advance(120_000);
    expect([worker.state, outputs(kafka), committed(kafka)]).toEqual(['running', values, values.length]);
    await worker.stop();
  });
});

describe('A message that can never be written', () => {
  it('has a dead letter that is refused too: it is tried again, and the worker has no defect', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    let isRefusing = true;
    const worker = await started(kafka, unwritable, {
      onFailure: deadLetter({ topic: 'dead' }),
      plugins: [
        {
          name: 'refuses',
          outgoing: (message) => {
            if (message.topic === 'dead' && isRefusing) throw new Error('not this one');
            return message;
          },
        },
      ],
    });
    const failures: string[] = [];
    worker.on('dead-letter-failed', ({ error }) => failures.push(error.message));
    await kafka.clock.advance(10_000);
    expect([worker.state, outputs(kafka), committed(kafka)]).toEqual(['running', ['a'], 1]);
    expect(failures).toContain('not this one');
    expect(worker.health().reasons).toContainEqual(expect.stringMatching(/t\/0: offset 1: .*dead.*not this one/));
    isRefusing = false;
    await kafka.clock.advance(60_000);
    expect([outputs(kafka), outputs(kafka, 'dead'), committed(kafka)]).toEqual([['a', 'c'], ['b'], 3]);
    await worker.stop();
  });

  it('is no reason to give up, however many producers its transactions take with them', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    kafka.deleteTopic('dead');
    const worker = await started(kafka, unwritable, { onFailure: deadLetter({ topic: 'dead' }) });
    kafka.fail('abort-transaction', 1_000, fatal);
    await kafka.clock.advance(3_600_000);
    expect([worker.state, outputs(kafka)]).toEqual(['running', ['a']]);
    kafka.createTopic('dead');
    await kafka.clock.advance(60_000);
    expect([outputs(kafka), outputs(kafka, 'dead'), committed(kafka)]).toEqual([['a', 'c'], ['b'], 3]);
    await worker.stop();
  });

  it('leaves no timer behind when the worker stops, which says what is left', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    kafka.deleteTopic('dead');
    const worker = await started(kafka, unwritable, { onFailure: deadLetter({ topic: 'dead' }) });
    await kafka.clock.advance(60_000);
    const stopping = worker.stop();
    await kafka.clock.advance(100);
    expect((await stopping).left).toEqual([{ topic: 't', partition: 0, offset: 1 }]);
    expect(kafka.clock.pendingTimers).toBe(0);
  });
});

describe('What is kept until it can be committed', () => {
  const gate = (): { readonly open: Promise<void>; readonly release: () => void } => {
    let release = (): void => {};
    return { open: new Promise<void>((resolve) => (release = resolve)), release: () => release() };
  };

  it('stops the intake of the partition that stands still, with a reason, and no other one', async () => {
    const kafka = clusterWith();
    const { open, release } = gate();
    let calls = 0;
    const worker = await started(
      kafka,
      async ({ partition, offset, value }, { send }) => {
        if (partition === 0) calls++;
        send({ topic: 'out', value: `${'x'.repeat(1_000)}${String(value)}` });
        if (partition === 0 && offset === 0) await open;
      },
      { concurrency: parallel(), limits: { inFlightRecords: 10, inFlightBytes: 20_000 } },
    );
    for (let i = 0; i < 30; i++) {
      kafka.send([0, 1].map((partition) => ({ topic: 't', partition, value: `${i}` })));
      await kafka.clock.advance(500);
    }
    // What was polled is handled all the same.
    expect(calls).toBeLessThan(25);
    expect(committed(kafka, 1)).toBe(30);
    expect(worker.health().reasons).toContainEqual(
      expect.stringMatching(
        /^t\/0 takes no more records: \d+ bytes that its handlers have sent wait for unfinished offset 0/,
      ),
    );
    release();
    await kafka.clock.advance(10_000);
    expect([outputs(kafka).length, committed(kafka, 0)]).toEqual([60, 30]);
    expect(worker.health().reasons).toEqual([]);
    await worker.stop();
  });

  it('does not stop other partitions when a partition is frozen', async () => {
    const kafka = clusterWith();
    const worker = await started(
      kafka,
      async ({ partition, offset, value }, { send }) => {
        if (partition === 0 && offset === 0) {
          await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 500));
          throw new Error('no');
        }
        send({ topic: 'out', value: `${'x'.repeat(partition === 0 ? 30_000 : 100)}${String(value)}` });
      },
      { concurrency: parallel(), onFailure: freezePartition(), limits: { inFlightBytes: 20_000 } },
    );
    kafka.send(['a', 'b'].map((value) => ({ topic: 't', partition: 0, value })));
    await kafka.clock.advance(1_000);
    kafka.send(['c', 'd'].map((value) => ({ topic: 't', partition: 1, value })));
    await kafka.clock.advance(1_000);
    expect(committed(kafka, 1)).toBe(2);
    await worker.stop();
  });

  it('says in health why nothing is polled while nothing can be committed', async () => {
    const kafka = clusterWith('a');
    const worker = await started(kafka, (_record, { send }) => send({ topic: 'out', value: 'x'.repeat(30_000) }), {
      limits: { inFlightBytes: 20_000 },
    });
    await kafka.clock.settle();
    const hold = kafka.hold('commit-transaction');
    await kafka.clock.advance(1_000);
    expect(worker.health().reasons).toContainEqual(
      expect.stringMatching(/nothing is polled: \d+ bytes that handlers have sent wait to be committed/),
    );
    hold.release();
    await kafka.clock.advance(1_000);
    expect(worker.health().reasons).toEqual([]);
    await worker.stop();
  });

  it('is committed in parts when it is much, the parts one after another, and nobody waits for long', async () => {
    const kafka = clusterWith();
    const transactions: string[][] = [];
    kafka.send(Array.from({ length: 3_000 }, () => ({ topic: 't', partition: 0, value: '0' })));
    kafka.send(['1', 'last'].map((value) => ({ topic: 't', partition: 1, value })));
    const { open, release } = gate();
    const worker = await started(
      kafka,
      async ({ partition, value }, { send }) => {
        // So that there is never a pause, which would be a reason to commit.
        if (String(value) === 'last') await open;
        for (let i = 0; i < (partition === 0 ? 10 : 1); i++) send({ topic: 'out', value: `${partition}` });
      },
      { commit: { everyMs: 5_000 } },
    );
    worker.on('committed', ({ offsets }) => {
      transactions.push(offsets.map((one) => `${one.partition}@${one.offset}`));
    });
    await kafka.clock.advance(4_500);
    expect(transactions).toEqual([]);
    // Before the next one is due.
    await kafka.clock.advance(5_000);
    expect(transactions.length).toBeGreaterThan(1);
    expect(transactions.findIndex((offsets) => offsets.includes('1@1'))).toBeLessThan(2);
    expect([outputs(kafka).length > 10_001, committed(kafka, 1)]).toEqual([true, 1]);
    await kafka.clock.advance(20_000);
    expect([outputs(kafka).length, committed(kafka, 0)]).toEqual([30_001, 3_000]);
    release();
    await worker.stop();
  });

  it('is committed in parts also when it is few messages of many bytes', async () => {
    const kafka = clusterWith(...Array.from({ length: 80 }, (_, i) => `${i}`));
    const bytes: number[] = [];
    const watched = {
      ...kafka,
      transactionalProducer: (options: Parameters<FakeKafka['transactionalProducer']>[0]) => {
        const producer = kafka.transactionalProducer(options);
        const { sendAll, begin } = { sendAll: producer.sendAll.bind(producer), begin: producer.begin.bind(producer) };
        producer.begin = () => {
          bytes.push(0);
          return begin();
        };
        producer.sendAll = (messages, timeoutMs) => {
          for (const { value } of messages) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + (value?.length ?? 0);
          return sendAll(messages, timeoutMs);
        };
        return producer;
      },
    };
    const worker = await started(kafka, (_record, { send }) => send({ topic: 'out', value: 'x'.repeat(900_000) }), {
      kafka: watched,
    });
    await kafka.clock.advance(10_000);
    expect(committed(kafka)).toBe(80);
    expect(Math.max(...bytes)).toBeLessThan(20_000_000);
    await worker.stop();
  });
});

describe('A commit that waits behind another one', () => {
  it('writes nothing when its partitions are gone by the time of its turn', async () => {
    const kafka = clusterWith();
    const { clock } = kafka;
    const sent: unknown[] = [];
    const watched = {
      ...kafka,
      transactionalProducer: (options: Parameters<FakeKafka['transactionalProducer']>[0]) => {
        const producer = kafka.transactionalProducer(options);
        const sendAll = producer.sendAll.bind(producer);
        producer.sendAll = (messages, timeoutMs) => {
          for (const { value } of messages) sent.push(value);
          return sendAll(messages, timeoutMs);
        };
        return producer;
      },
    };
    const consumer = kafka.consumer({ clock, logger: quiet, groupId: 'g', groupProtocol: 'classic' });
    await consumer.connect({ timeoutMs: 1_000 });
    consumer.subscribe(['t']);
    const session = await delivery.open({
      ...{ kafka: watched, consumer, clock, logger: quiet, groupId: 'g', connectTimeoutMs: 1_000 },
      restart: () => {},
      statistics: () => {},
    });
    const hold = kafka.hold('send');
    const commit = (partition: number): Promise<unknown> =>
      session
        .commit({
          partitions: [
            {
              topic: 't',
              partition,
              offset: 1,
              sends: [{ offset: 0, message: { topic: 'out', value: `${partition}` } }],
            },
          ],
        })
        .catch((error: unknown) => error);
    const first = commit(0);
    const second = commit(1);
    await clock.settle();
    session.lost?.([{ topic: 't', partition: 1 }]);
    hold.release();
    await clock.advance(10_000);
    await first;
    expect(await second).toMatchObject({ code: 'COMMIT', failures: [{ partition: 1, kafkaCode: 22 }] });
    expect(sent).toContain('0');
    expect(sent).not.toContain('1');
    const closing = session.close();
    await clock.advance(10_000);
    await closing;
  });
});
