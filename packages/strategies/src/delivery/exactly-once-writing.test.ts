import { describe, expect, it } from '@jest/globals';
import { CommitError, type FailurePolicy, ProduceError, TransactionError, Worker } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, skip } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const MESSAGE_TOO_LARGE = 10;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Copies records, one transaction each; the values of `bad` go to a partition that is not there, and those of `tooLarge` are refused as such. */
function copying(
  kafka: FakeKafka,
  bad: ReadonlySet<string>,
  rest: { readonly commit?: { readonly everyMs: number }; readonly onFailure?: FailurePolicy } = {},
  tooLarge: ReadonlySet<string> = new Set(),
): { worker: Worker; tellsEach: unknown[]; together: string[] } {
  const tellsEach: unknown[] = [];
  const together: string[] = [];
  const watched: FakeKafka = {
    ...kafka,
    transactionalProducer: (options) => {
      const producer = kafka.transactionalProducer(options);
      const connect = producer.connect.bind(producer);
      // One is made only to look at messages.
      producer.connect = (how) => {
        tellsEach.push(options.tellsEach);
        return connect(how);
      };
      const { send, sendAll } = { send: producer.send.bind(producer), sendAll: producer.sendAll.bind(producer) };
      producer.send = (message) => {
        if (!tooLarge.has(String(message.value))) return send(message);
        const cause = { code: MESSAGE_TOO_LARGE };
        return Promise.reject(new ProduceError(message.topic, 'too large', { cause }));
      };
      producer.sendAll = async (messages, timeoutMs) => {
        const values = Array.from(messages, ({ value }) => String(value));
        together.push(...values);
        if (values.some((value) => tooLarge.has(value)))
          throw new TransactionError('abortable', 'too large', { kafkaCode: MESSAGE_TOO_LARGE });
        await sendAll(messages, timeoutMs);
      };
      return producer;
    },
  };
  const worker = new Worker({
    ...{ kafka: watched, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, random: () => 0.5 },
    ...{ delivery: exactlyOnce({ transactionalIdPrefix: 'test' }), onFailure: skip({ log: false }) },
    ...{ commit: { everyRecords: 1 }, ...rest },
    handler: ({ value }, { send }) => {
      send({ topic: 'out', partition: bad.has(String(value)) ? 9 : 0, value });
    },
  });
  worker.finished.catch(() => {});
  return { worker, tellsEach, together };
}

/** As librdkafka does it: every message is taken, and a commit is refused when one of them was not written. */
function refusingAtCommit(kafka: FakeKafka, bad: ReadonlySet<string>): FakeKafka {
  return {
    ...kafka,
    transactionalProducer: (options) => {
      const producer = kafka.transactionalProducer(options);
      const [begin, sendAll, commit] = [producer.begin, producer.sendAll, producer.commit];
      let missing = 0;
      producer.begin = () => {
        missing = 0;
        return begin.call(producer);
      };
      producer.sendAll = (messages, timeoutMs) => {
        const all = [...messages];
        const written = all.filter(({ value }) => !bad.has(String(value)));
        missing += all.length - written.length;
        return sendAll.call(producer, written, timeoutMs);
      };
      producer.commit = (timeoutMs) => {
        if (missing === 0) return commit.call(producer, timeoutMs);
        const text = `${missing} message(s) failed delivery`;
        return Promise.reject(new TransactionError('abortable', text, { kafkaCode: -149 }));
      };
      return producer;
    },
  };
}

describe('exactlyOnce writes messages together', () => {
  const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);

  it('as long as all goes well', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    const { worker, tellsEach } = copying(kafka, new Set());
    await worker.start();
    for (const value of numbers(0, 20)) {
      kafka.send([{ topic: 't', value }]);
      await kafka.clock.advance(200);
    }
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(numbers(0, 20));
    expect(tellsEach).toEqual([false]);
    await worker.stop();
  });

  it('and asks for each, by another producer, from a failure on until a hundred transactions have succeeded', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    const { worker, tellsEach } = copying(kafka, new Set(['2']));
    const failed: string[] = [];
    worker.on('failed', ({ record }) => failed.push(String(record.value)));
    await worker.start();
    const send = async (values: readonly string[]): Promise<void> => {
      for (const value of values) {
        kafka.send([{ topic: 't', value }]);
        await kafka.clock.advance(200);
      }
    };
    await send(numbers(0, 4));
    expect(failed).toEqual(['2']);
    // Behind a message that a broker has refused, librdkafka's next transaction would fail as well.
    expect(tellsEach).toEqual([false, true, true]);
    await send(numbers(4, 90));
    expect(tellsEach).toEqual([false, true, true]);
    await send(numbers(90, 120));
    expect(tellsEach).toEqual([false, true, true, false]);
    const written = numbers(0, 120).filter((value) => value !== '2');
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(written);
    expect(kafka.committed('g', 't').get(0)).toBe(120);
    await worker.stop();
  });

  it('and keeps nobody waiting for several that can never be written: each is found at once', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    const tooLarge = new Set(['1', '3', '5', '7', '9', '11']);
    const { worker } = copying(kafka, new Set(), {}, tooLarge);
    const values = numbers(0, 13);
    kafka.send(values.map((value) => ({ topic: 't', value })));
    await worker.start();
    await kafka.clock.advance(500);
    const written = values.filter((value) => !tooLarge.has(value));
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(written);
    expect(kafka.committed('g', 't').get(0)).toBe(values.length);
    await worker.stop();
  });

  it('and asks for each when it is the commit that says that one was not written', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 } } });
    const bad = new Set(['b', 'y']);
    const { worker, tellsEach } = copying(refusingAtCommit(kafka, bad), bad, { commit: { everyMs: 500 } });
    const failed: string[] = [];
    worker.on('failed', ({ record }) => failed.push(String(record.value)));
    let unexplained = 0;
    worker.on('commit-failed', ({ error }) => {
      if (error instanceof CommitError && error.unwritable.length === 0) unexplained++;
    });
    kafka.send(['a', 'b', 'c'].map((value) => ({ topic: 't', partition: 0, value })));
    kafka.send(['x', 'y', 'z'].map((value) => ({ topic: 't', partition: 1, value })));
    await worker.start();
    await kafka.clock.advance(30_000);
    expect(failed.sort()).toEqual(['b', 'y']);
    // The broker was not asked to commit it, so that nobody has to find out whether it did: it is written again at once.
    expect(unexplained).toBe(0);
    // And what is found then costs one more producer.
    expect(tellsEach).toEqual([false, true, true]);
    const written = kafka.records('out').map(({ value }) => String(value));
    expect(written.filter((value) => value < 'd')).toEqual(['a', 'c']);
    expect(written.filter((value) => value > 'd')).toEqual(['x', 'z']);
    expect([...kafka.committed('g', 't').values()]).toEqual([3, 3]);
    await worker.stop();
  });

  it.each([
    ['fatal', -149],
    ['abortable', -195],
  ] as const)(
    'and writes nothing twice that was committed, though its commit failed: %s, %i',
    async (kind, kafkaCode) => {
      const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
      let failures = 1;
      const failing: FakeKafka = {
        ...kafka,
        transactionalProducer: (options) => {
          const producer = kafka.transactionalProducer(options);
          const commit = producer.commit.bind(producer);
          producer.commit = async (timeoutMs) => {
            await commit(timeoutMs);
            // Not that of the starts, with which nothing is written.
            if (kafka.records('out').length > 0 && failures-- > 0)
              throw new TransactionError(kind, 'after it was committed', { kafkaCode });
          };
          return producer;
        },
      };
      const { worker } = copying(failing, new Set());
      kafka.send(numbers(0, 3).map((value) => ({ topic: 't', value })));
      await worker.start();
      await kafka.clock.advance(30_000);
      expect(failures).toBeLessThan(1);
      expect(kafka.records('out').map(({ value }) => String(value))).toEqual(numbers(0, 3));
      await worker.stop();
    },
  );

  it('but asks for each from the start when one of them could not be written before', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 } } });
    const rest = { onFailure: deadLetter({ topic: 'dead' }) };
    const { worker, tellsEach, together } = copying(kafka, new Set(['bad']), rest);
    let failures = 0;
    worker.on('dead-letter-failed', () => void failures++);
    kafka.send([{ topic: 't', partition: 0, value: 'bad' }]);
    await worker.start();
    for (const value of numbers(0, 600)) {
      kafka.send([{ topic: 't', partition: 1, value }]);
      await kafka.clock.advance(200);
    }
    expect(failures).toBeGreaterThan(5);
    // In between all is well for long enough.
    expect(tellsEach.filter((one) => one === false).length).toBeGreaterThan(2);
    expect(together.filter((value) => value === 'bad')).toHaveLength(1);
    expect(kafka.committed('g', 't').get(1)).toBe(600);
    await worker.stop();
  });

  it('and does so when the group has moved on, which is no fault of a message', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    const { worker, tellsEach } = copying(kafka, new Set());
    await worker.start();
    await kafka.clock.advance(1_000);
    const hold = kafka.hold('send-offsets');
    kafka.send([{ topic: 't', value: 'a' }]);
    await kafka.clock.advance(1_000);
    expect(hold.waiting).toBe(1);
    kafka.group('g').kick();
    hold.release();
    await kafka.clock.advance(30_000);
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(['a']);
    expect(tellsEach.every((one) => one === false)).toBe(true);
    await worker.stop();
  });
});
