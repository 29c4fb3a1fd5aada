import { describe, expect, it } from '@jest/globals';
import { CommitError, type FailurePolicy, TransactionError, Worker } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, skip } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Copies records, one transaction each; the values of `bad` go to a partition that is not there. */
function copying(
  kafka: FakeKafka,
  bad: ReadonlySet<string>,
  rest: { readonly commit?: { readonly everyMs: number }; readonly onFailure?: FailurePolicy } = {},
): { worker: Worker; tellsEach: unknown[] } {
  const tellsEach: unknown[] = [];
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
      return producer;
    },
  };
  const worker = new Worker({
    ...{ kafka: watched, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
    ...{ delivery: exactlyOnce({ transactionalIdPrefix: 'test' }), onFailure: skip({ log: false }) },
    ...{ commit: { everyRecords: 1 }, ...rest },
    handler: ({ value }, { send }) => {
      send({ topic: 'out', partition: bad.has(String(value)) ? 9 : 0, value });
    },
  });
  worker.finished.catch(() => {});
  return { worker, tellsEach };
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
    expect(tellsEach).toEqual([false, true]);
    await send(numbers(4, 90));
    expect(tellsEach).toEqual([false, true]);
    await send(numbers(90, 120));
    expect(tellsEach).toEqual([false, true, false]);
    const written = numbers(0, 120).filter((value) => value !== '2');
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(written);
    expect(kafka.committed('g', 't').get(0)).toBe(120);
    await worker.stop();
  });

  it('and asks for each when it is the commit that says that one was not written', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 } } });
    const bad = new Set(['b', 'y']);
    const { worker, tellsEach } = copying(refusingAtCommit(kafka, bad), bad, { commit: { everyMs: 500 } });
    const failed: string[] = [];
    worker.on('failed', ({ record }) => failed.push(String(record.value)));
    kafka.send(['a', 'b', 'c'].map((value) => ({ topic: 't', partition: 0, value })));
    kafka.send(['x', 'y', 'z'].map((value) => ({ topic: 't', partition: 1, value })));
    await worker.start();
    await kafka.clock.advance(30_000);
    expect(failed.sort()).toEqual(['b', 'y']);
    expect(tellsEach).toEqual([false, true]);
    const written = kafka.records('out').map(({ value }) => String(value));
    expect(written.filter((value) => value < 'd')).toEqual(['a', 'c']);
    expect(written.filter((value) => value > 'd')).toEqual(['x', 'z']);
    expect([...kafka.committed('g', 't').values()]).toEqual([3, 3]);
    await worker.stop();
  });

  it('but asks for each from the start when one of them could not be written before', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 } } });
    const rest = { onFailure: deadLetter({ topic: 'dead' }) };
    const { worker, tellsEach } = copying(kafka, new Set(['bad']), rest);
    let unexplained = 0;
    worker.on('commit-failed', ({ error }) => {
      if (error instanceof CommitError && error.unwritable.length === 0) unexplained++;
    });
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
    expect(unexplained).toBe(1);
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
