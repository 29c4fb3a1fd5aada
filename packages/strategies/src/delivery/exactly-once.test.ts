import { describe, expect, it } from '@jest/globals';
import {
  CommitError,
  type CommonWorkerOptions,
  type HandlerContext,
  InvalidOptionError,
  type KafkaRecord,
  ProduceError,
  TransactionError,
  Worker,
} from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezeKey, freezePartition, parallel, perKey, perPartition, retry, skip, stop } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const delivery = exactlyOnce({ transactionalIdPrefix: 'test' });

function clusterWith(...values: readonly string[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 }, dead: { partitions: 1 } } });
  kafka.send(values.map((value) => ({ topic: 't', partition: 0, key: value, value })));
  return kafka;
}

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;
type Handler = (record: KafkaRecord, context: HandlerContext) => unknown;

function workerOn(kafka: FakeKafka, handler: Handler, rest: Rest = {}): Worker {
  const worker = new Worker({
    ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, delivery, handler, onFailure: stop() },
    ...rest,
  });
  worker.finished.catch(() => {});
  return worker;
}

type ProducerOptions = Parameters<FakeKafka['transactionalProducer']>[0];

/** With what producers are made. */
function watchingProducers(kafka: FakeKafka): { readonly watched: FakeKafka; readonly made: ProducerOptions[] } {
  const made: ProducerOptions[] = [];
  const transactionalProducer = (options: ProducerOptions) => {
    made.push(options);
    return kafka.transactionalProducer(options);
  };
  return { watched: { ...kafka, transactionalProducer }, made };
}

const copy: Handler = ({ value }, { send }) => send({ topic: 'out', value });
const outputs = (kafka: FakeKafka, topic = 'out'): string[] => kafka.records(topic).map(({ value }) => String(value));
const committed = (kafka: FakeKafka): number | undefined => kafka.committed('g', 't').get(0);
const failing =
  (kind: 'retriable' | 'abortable' | 'fatal', kafkaCode = -185) =>
  () =>
    new TransactionError(kind, 'the test says so', { kafkaCode });

/** Starts, and gives it time to end what it has to do. */
async function ran(kafka: FakeKafka, worker: Worker, ms = 30_000): Promise<Worker> {
  await worker.start();
  await kafka.clock.advance(ms);
  return worker;
}

describe('exactlyOnce', () => {
  it('shows what handlers send, in order, together with the offset, and not before', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    const worker = workerOn(kafka, copy);
    await worker.start();
    await kafka.clock.settle();
    const hold = kafka.hold('commit-transaction');
    await kafka.clock.advance(1_000);
    expect([hold.waiting, outputs(kafka), committed(kafka)]).toEqual([1, [], 0]);
    hold.release();
    await kafka.clock.advance(10);
    expect([outputs(kafka), committed(kafka)]).toEqual([['a', 'b', 'c'], 3]);
    await worker.stop();
  });

  it('never runs a handler inside an open transaction, nor waits for one with a commit', async () => {
    const kafka = clusterWith('a');
    kafka.send([{ topic: 't', partition: 1, value: 'slow' }]);
    const worker = workerOn(
      kafka,
      async (record, context) => {
        copy(record, context);
        if (String(record.value) === 'slow')
          await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 60_000));
      },
      { concurrency: perPartition() },
    );
    await ran(kafka, worker, 2_000);
    expect(outputs(kafka)).toEqual(['a']);
    const hold = kafka.hold('commit-transaction');
    kafka.send([{ topic: 't', partition: 0, value: 'b' }]);
    await kafka.clock.advance(500);
    kafka.send([{ topic: 't', partition: 0, value: 'c' }]);
    await kafka.clock.advance(500);
    expect([hold.waiting, worker.status().inFlightRecords]).toEqual([1, 1]);
    hold.release();
    await kafka.clock.advance(60_000);
    expect(outputs(kafka).sort()).toEqual(['a', 'b', 'c', 'slow']);
    await worker.stop();
  });

  it('starts every attempt with an empty list', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(
      kafka,
      (_record, { send, attempt }) => {
        send({ topic: 'out', value: `${attempt}` });
        if (attempt < 3) throw new Error('not yet');
      },
      { onFailure: retry({ backoff: { initialMs: 10 }, then: stop() }) },
    );
    await (await ran(kafka, worker)).stop();
    expect(outputs(kafka)).toEqual(['3']);
  });

  it('writes nothing of a record that is skipped, and the dead letter of one that has become one', async () => {
    for (const [onFailure, dead] of [
      [skip({ log: false }), []],
      [deadLetter({ topic: 'dead' }), ['b']],
    ] as const) {
      const kafka = clusterWith('a', 'b', 'c');
      const worker = workerOn(
        kafka,
        (record, context) => {
          copy(record, context);
          if (record.offset === 1) throw new Error('bad');
        },
        { onFailure },
      );
      await worker.start();
      await kafka.clock.settle();
      const hold = kafka.hold('commit-transaction');
      await kafka.clock.advance(1_000);
      expect(outputs(kafka, 'dead')).toEqual([]);
      hold.release();
      await kafka.clock.advance(1_000);
      await worker.stop();
      expect([outputs(kafka), outputs(kafka, 'dead'), committed(kafka)]).toEqual([['a', 'c'], dead, 3]);
    }
  });

  it('keeps what records above the frontier have sent until it reaches them', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    let go = (): void => {};
    const worker = workerOn(
      kafka,
      async (record, context) => {
        copy(record, context);
        if (record.offset === 1) await new Promise<void>((resolve) => (go = resolve));
      },
      { concurrency: parallel() },
    );
    await ran(kafka, worker);
    expect([outputs(kafka), committed(kafka)]).toEqual([['a'], 1]);
    go();
    await kafka.clock.advance(1_000);
    expect([outputs(kafka), committed(kafka)]).toEqual([['a', 'b', 'c'], 3]);
    await worker.stop();
  });

  it('takes a message as it is when it is sent: a buffer that is used again changes nothing', async () => {
    const kafka = clusterWith('a', 'b');
    const buffer = Buffer.alloc(1);
    const headers = function* (): Generator<readonly [string, string]> {
      yield ['h', '1'];
    };
    const worker = workerOn(kafka, ({ value }, { send }) => {
      value?.copy(buffer);
      send({ topic: 'out', value: buffer, headers: headers() });
    });
    await (await ran(kafka, worker)).stop();
    expect(outputs(kafka)).toEqual(['a', 'b']);
    expect(kafka.records('out').map((record) => String(record.headers.get('h')))).toEqual(['1', '1']);
  });

  it.each([
    ['an abortable error of the offsets', 'send-offsets', failing('abortable', 51)],
    ['a retriable error of the offsets', 'send-offsets', failing('retriable')],
    ['a fatal error of the offsets', 'send-offsets', failing('fatal', 90)],
    ['a retriable error of the commit', 'commit-transaction', failing('retriable')],
    ['a commit that was lost on its way', 'commit-transaction', failing('fatal')],
    ['a commit whose answer was late', 'commit-transaction-answer', failing('retriable')],
    ['a commit whose answer was lost', 'commit-transaction-answer', failing('fatal')],
    ['a message that was not acknowledged', 'send', failing('retriable')],
  ] as const)('writes once, without calling handlers again, after %s', async (_what, operation, error) => {
    const kafka = clusterWith('a', 'b', 'c');
    const { watched, made } = watchingProducers(kafka);
    let calls = 0;
    const worker = workerOn(watched, (record, context) => {
      calls++;
      copy(record, context);
    });
    await worker.start();
    kafka.fail(operation, 1, error);
    await kafka.clock.advance(60_000);
    expect(kafka.committed('g', 't').get(0)).toBe(3);
    await worker.stop();
    expect([outputs(kafka), calls]).toEqual([['a', 'b', 'c'], 3]);
    // However many producers it took: the next one ends what the last one has left open, which takes the same id.
    expect(new Set(made.map(({ transactionalId }) => transactionalId)).size).toBe(1);
  });

  it('ends the worker when one producer after another fails', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(kafka, copy);
    await worker.start();
    kafka.fail('commit-transaction', 1_000, failing('fatal', 90));
    const finished = expect(worker.finished).rejects.toThrow(CommitError);
    await kafka.clock.advance(600_000);
    await finished;
    expect(outputs(kafka)).toEqual([]);
  });

  it('ends the open transaction before it releases a partition', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(kafka, copy, { revokeDrainMs: 5_000 });
    await worker.start();
    await kafka.clock.settle();
    const hold = kafka.hold('commit-transaction');
    await kafka.clock.advance(500);
    kafka.group('g').revoke([{ topic: 't', partition: 0 }]);
    await kafka.clock.advance(1_000);
    expect(kafka.group('g').assignment()).toHaveLength(2);
    hold.release();
    await kafka.clock.advance(100);
    expect(kafka.group('g').assignment()).toHaveLength(1);
    expect(outputs(kafka)).toEqual(['a']);
    await worker.stop();
  });

  it('commits nothing of a partition that was lost while its messages were written', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(kafka, copy);
    await worker.start();
    await kafka.clock.settle();
    const hold = kafka.hold('send');
    await kafka.clock.advance(500);
    expect(hold.waiting).toBe(1);
    kafka.group('g').lose([{ topic: 't', partition: 0 }]);
    await kafka.clock.advance(100);
    hold.release();
    await kafka.clock.advance(5_000);
    expect([outputs(kafka), committed(kafka)]).toEqual([[], 0]);
    // Whoever has it next writes it.
    kafka.group('g').rebalance();
    await kafka.clock.advance(5_000);
    expect([outputs(kafka), committed(kafka)]).toEqual([['a'], 1]);
    await worker.stop();
  });

  it('handles what is its own still when starts are refused for the sake of a partition that was lost', async () => {
    const kafka = clusterWith('a');
    const hold = kafka.hold('send-offsets');
    const worker = workerOn(kafka, copy);
    await worker.start();
    await hold.arrived();
    kafka.group('g').lose([{ topic: 't', partition: 1 }]);
    hold.release();
    await kafka.clock.advance(5_000);
    expect([outputs(kafka), committed(kafka)]).toEqual([['a'], 1]);
    await worker.stop();
  });

  it('commits the dead letter of a handler that returned when the worker had ended for it', async () => {
    const kafka = clusterWith('a');
    const worker = workerOn(kafka, () => new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 20_000)), {
      onFailure: deadLetter({ topic: 'dead', brake: false }),
      handlerTimeoutMs: 100,
      stuckAfterMs: 100,
    });
    await ran(kafka, worker, 10_000);
    expect([worker.state, committed(kafka)]).toEqual(['failed', 0]);
    await kafka.clock.advance(20_000);
    expect([outputs(kafka, 'dead'), committed(kafka)]).toEqual([['a'], 1]);
  });

  it('polls no more than it can keep while nothing can be committed, and goes on then', async () => {
    const kafka = clusterWith(...Array.from({ length: 50 }, () => 'a'.repeat(1_000)));
    let calls = 0;
    const worker = workerOn(
      kafka,
      (record, context) => {
        calls++;
        copy(record, context);
      },
      { limits: { inFlightRecords: 5, inFlightBytes: 10_000 } },
    );
    await worker.start();
    await kafka.clock.settle();
    const hold = kafka.hold('send-offsets');
    await kafka.clock.advance(5_000);
    kafka.send(Array.from({ length: 50 }, () => ({ topic: 't', partition: 0, value: 'b'.repeat(1_000) })));
    await kafka.clock.advance(3_000);
    expect(calls).toBeLessThan(30);
    hold.release();
    await kafka.clock.advance(30_000);
    await worker.stop();
    expect([calls, outputs(kafka).length]).toEqual([100, 100]);
  });

  it('gives processes with one configuration ids of their own', async () => {
    const kafka = clusterWith('a');
    const { watched, made } = watchingProducers(kafka);
    const workers = [workerOn(watched, copy), workerOn(watched, copy)];
    for (const worker of workers) await worker.start();
    await kafka.clock.advance(5_000);
    const ids = made.map(({ transactionalId }) => transactionalId);
    expect(new Set(ids).size).toBe(2);
    expect(ids.every((id) => id.startsWith('test-'))).toBe(true);
    // So long others wait for what a worker that was killed has left open.
    expect(new Set(made.map(({ transactionTimeoutMs }) => transactionTimeoutMs))).toEqual(new Set([10_000]));
    for (const worker of workers) await worker.stop();
    expect(outputs(kafka)).toEqual(['a']);
  });
});

/** As a broker does, it refuses every message of a batch that has one of that value. */
function refusingBatchesWith(kafka: FakeKafka, value: string): FakeKafka {
  return {
    ...kafka,
    transactionalProducer: (options) => {
      const producer = kafka.transactionalProducer(options);
      const { send, sendAll } = { send: producer.send.bind(producer), sendAll: producer.sendAll.bind(producer) };
      producer.sendAll = (messages, timeoutMs) => {
        const isRefused = [...messages].some((message) => String(message.value) === value);
        if (!isRefused) return sendAll(messages, timeoutMs);
        return Promise.reject(new TransactionError('abortable', 'a message is too large', { kafkaCode: -1 }));
      };
      let batch: string[] = [];
      producer.send = async (message) => {
        // What is sent in one turn goes in one batch.
        if (batch.length === 0) {
          queueMicrotask(() => {
            batch = [];
          });
        }
        const own = batch;
        own.push(String(message.value));
        await Promise.resolve();
        if (!own.includes(value)) return send(message);
        throw new ProduceError(message.topic, 'too large', { cause: { code: 10 } });
      };
      return producer;
    },
  };
}

describe('A message that can never be written, under exactlyOnce,', () => {
  const sendsBadly: Handler = ({ value, offset }, { send }) =>
    send({ topic: 'out', partition: offset === 1 ? 9 : 0, value });

  it.each([
    ['its topic has no such name', { topic: 'no such name!', value: 'x' }, /topic name/],
    ['its value is of another type', { topic: 'out', value: 7 as never }, /message\.value/],
    ['it is too large', { topic: 'out', value: Buffer.alloc(1_000_001) }, /at most 1000000 bytes/],
  ])('is refused when it is sent: %s', async (_why, message, error) => {
    const kafka = clusterWith('a');
    const refused: unknown[] = [];
    const worker = workerOn(kafka, (_record, { send }) => {
      try {
        send(message);
      } catch (thrown) {
        refused.push(thrown);
        throw thrown;
      }
    });
    const finished = expect(worker.finished).rejects.toThrow(error);
    await ran(kafka, worker);
    await finished;
    expect(refused).toEqual([expect.any(InvalidOptionError)]);
  });

  it('stops nothing else for ever: skip drops it, with everything else that its record has sent', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    const worker = workerOn(kafka, sendsBadly, { onFailure: skip({ log: false }) });
    const failed: unknown[] = [];
    worker.on('failed', ({ record, decision }) => failed.push([record.offset, decision.do]));
    await (await ran(kafka, worker)).stop();
    expect([outputs(kafka), committed(kafka), failed]).toEqual([['a', 'c'], 3, [[1, 'skip']]]);
  });

  it('is found among those that the broker refuses together with it', async () => {
    const kafka = clusterWith('a', 'b', 'c', 'd');
    const worker = workerOn(refusingBatchesWith(kafka, 'b'), copy, { onFailure: skip({ log: false }) });
    const failed: number[] = [];
    worker.on('failed', ({ record }) => failed.push(record.offset));
    await (await ran(kafka, worker)).stop();
    expect([outputs(kafka), committed(kafka), failed]).toEqual([['a', 'c', 'd'], 4, [1]]);
  });

  it('becomes a dead letter in the same transaction', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    const worker = workerOn(kafka, sendsBadly, { onFailure: deadLetter({ topic: 'dead' }) });
    await (await ran(kafka, worker)).stop();
    expect([outputs(kafka), outputs(kafka, 'dead'), committed(kafka)]).toEqual([['a', 'c'], ['b'], 3]);
  });

  it('is not tried again by retry, and ends the worker under stop, with what lies before it committed', async () => {
    for (const onFailure of [stop(), retry({ then: stop() })]) {
      const kafka = clusterWith('a', 'b', 'c');
      const worker = workerOn(kafka, sendsBadly, { onFailure });
      const finished = expect(worker.finished).rejects.toMatchObject({ code: 'HANDLER', offset: 1 });
      await ran(kafka, worker);
      await finished;
      expect([outputs(kafka), committed(kafka)]).toEqual([['a'], 1]);
    }
  });

  it.each([
    ['is written when somebody unfreezes it after having mended that', false, ['a', 'b', 'c']],
    ['is dropped when somebody says that it is to be skipped', true, ['a', 'c']],
  ] as const)('freezes its partition under freezePartition, and %s', async (_what, isSkipped, expected) => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 }, out: { partitions: 1 } } });
    kafka.send(['a', 'b', 'c'].map((value) => ({ topic: 't', partition: 0, value })));
    let calls = 0;
    const worker = workerOn(
      kafka,
      ({ partition, offset, value }, { send }) => {
        calls++;
        send({ topic: partition === 0 && offset === 1 ? 'later' : 'out', value });
      },
      { onFailure: freezePartition() },
    );
    await ran(kafka, worker);
    kafka.send([{ topic: 't', partition: 1, value: 'other' }]);
    kafka.send([{ topic: 't', partition: 0, value: 'd' }]);
    await kafka.clock.advance(5_000);
    expect([outputs(kafka), committed(kafka), calls]).toEqual([['a', 'other'], 1, 4]);
    expect(worker.status().partitions[0]?.frozen).toMatchObject([{ scope: 'partition', offset: 1 }]);
    expect(worker.health().reasons).toEqual([expect.stringMatching(/t\/0 has been frozen at offset 1 .*later/)]);
    kafka.createTopic('later');
    await worker.unfreeze({ topic: 't', partition: 0, skip: isSkipped });
    await kafka.clock.advance(5_000);
    expect([...outputs(kafka), ...outputs(kafka, 'later')].sort()).toEqual([...expected, 'd', 'other'].sort());
    expect([committed(kafka), calls, worker.health().reasons]).toEqual([4, 5, []]);
    await worker.stop();
  });

  it('is a dead letter itself: its record is not committed, and it is written as soon as that works', async () => {
    const kafka = clusterWith('a', 'b', 'c');
    kafka.deleteTopic('dead');
    const worker = workerOn(kafka, sendsBadly, { onFailure: deadLetter({ topic: 'dead' }) });
    const failures: number[] = [];
    worker.on('dead-letter-failed', ({ failures: count }) => failures.push(count));
    await ran(kafka, worker);
    expect([outputs(kafka), committed(kafka)]).toEqual([['a'], 1]);
    expect(failures.length).toBeGreaterThan(1);
    kafka.createTopic('dead');
    await kafka.clock.advance(60_000);
    expect([outputs(kafka), outputs(kafka, 'dead'), committed(kafka)]).toEqual([['a', 'c'], ['b'], 3]);
    await worker.stop();
  });
});

describe('exactlyOnce with a batch handler', () => {
  const batched = (kafka: FakeKafka, withRecord: boolean): Worker => {
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, delivery, onFailure: stop() },
      concurrency: perKey(),
      batchHandler: (records, { send }) => {
        for (const record of records) send({ topic: 'out', value: record.value }, withRecord ? record : undefined);
      },
    });
    worker.finished.catch(() => {});
    return worker;
  };
  const sameKey = (): FakeKafka => {
    const kafka = clusterWith();
    kafka.send(['a', 'b', 'c'].map((value) => ({ topic: 't', partition: 0, key: 'k', value })));
    return kafka;
  };

  it('commits each record with its own messages', async () => {
    const kafka = sameKey();
    await (await ran(kafka, batched(kafka, true))).stop();
    expect(outputs(kafka)).toEqual(['a', 'b', 'c']);
  });

  it('refuses a message that does not say which record it is for', async () => {
    const kafka = sameKey();
    const worker = batched(kafka, false);
    const finished = expect(worker.finished).rejects.toThrow(/which record of the batch/);
    await ran(kafka, worker);
    await finished;
    expect(outputs(kafka)).toEqual([]);
  });
});

describe('exactlyOnce refuses', () => {
  it('what it cannot promise', () => {
    const kafka = clusterWith();
    const refused =
      (rest: Rest): unknown =>
      () =>
        workerOn(kafka, copy, rest);
    expect(refused({ concurrency: perKey(), onFailure: freezeKey() })).toThrow(/freeze-key under exactlyOnce/);
    const cluster = { ...kafka, transactionRefusal: 'the test says so' };
    expect(refused({ kafka: cluster })).toThrow(/exactlyOnce\(\) \(the test says so\)/);
  });

  it('a cluster whose isolation.level is read_uncommitted', () => {
    const librdkafka = { 'isolation.level': 'read_uncommitted' };
    const kafka = confluentKafka({ brokers: ['127.0.0.1:9'], librdkafka });
    const make = () => new Worker({ kafka, groupId: 'g', topics: 't', delivery, handler: copy });
    expect(make).toThrow(/isolation\.level.* is "\w+": leave it out, or set 'read_committed'/);
  });

  it('options that cannot be used', () => {
    expect(() => exactlyOnce({} as never)).toThrow(InvalidOptionError);
    expect(() => exactlyOnce({ transactionalIdPrefix: '' })).toThrow(/transactionalIdPrefix/);
    expect(() => exactlyOnce({ transactionalIdPrefix: 'x', transactionTimeoutMs: 10 })).toThrow(/transactionTimeoutMs/);
    expect(() => exactlyOnce({ transactionalIdPrefix: 'x', prefix: 'y' } as never)).toThrow(/no option of that name/);
  });
});
