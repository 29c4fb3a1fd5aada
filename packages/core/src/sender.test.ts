import { describe, expect, it } from '@jest/globals';
import { ClientError, InvalidOptionError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import type { KafkaProducer, KafkaProducerOptions } from './kafka-client.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const skip: FailurePolicy = { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip' }) };

describe('what handlers send', () => {
  it('keeps its order, also what was sent before the producer was connected', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    kafka.send(['a', 'b', 'c', 'd'].map((value) => ({ topic: 't', partition: 0, value })));
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      concurrency: { kind: 'concurrency', name: 'parallel', lanes: { by: 'all', active: 1, inside: { width: 2 } } },
      handler: (record, { send }) => {
        send({ topic: 'out', partition: 0, value: `${record.value}1` });
        send({ topic: 'out', partition: 0, value: `${record.value}2` });
      },
    });
    await worker.start();
    await kafka.clock.advance(2_000);
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual([
      'a1',
      'a2',
      'b1',
      'b2',
      'c1',
      'c2',
      'd1',
      'd2',
    ]);
    await worker.stop();
  });

  it('is refused at once when it can never be sent, from the first message on', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([{ topic: 't', value: 'a' }]);
    const thrown: unknown[] = [];
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, onFailure: skip },
      handler: (_record, { send }) => {
        try {
          send({ topic: '', value: 'x' });
        } catch (error) {
          thrown.push(error);
        }
      },
    });
    await worker.start();
    await kafka.clock.advance(2_000);
    expect(thrown).toEqual([expect.any(InvalidOptionError)]);
    expect(await worker.stop()).toMatchObject({ handled: 1 });
  });

  it('fails its record while no producer can be connected, and goes through once one can', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    kafka.send([{ topic: 't', value: 'a' }]);
    const errors: string[] = [];
    let isDown = true;
    const worker = new Worker({
      ...{ kafka: { ...kafka, producer: (options) => (isDown ? unconnectable() : kafka.producer(options)) } },
      ...{ groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      handler: (_record, { send }) => send({ topic: 'out', value: 'x' }),
    });
    const unconnectable = () => {
      const producer = kafka.producer({ clock: kafka.clock, logger: quiet });
      producer.connect = () => Promise.reject(new Error('no broker'));
      return producer;
    };
    worker.on('failed', ({ error }) => {
      errors.push((error as Error).message);
      isDown = false;
    });
    await worker.start();
    await kafka.clock.advance(5_000);
    expect(errors).toEqual(['no broker']);
    expect(kafka.records('out')).toHaveLength(1);
    await worker.stop();
  });

  it('goes through a new producer once the last one has failed for good', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    kafka.send(['a', 'b', 'c'].map((value) => ({ topic: 't', partition: 0, value })));
    kafka.fail('send', 1, () => new ClientError('the sequence is broken'));
    const made: KafkaProducer[] = [];
    const closed: KafkaProducer[] = [];
    const producer = (options: KafkaProducerOptions): KafkaProducer => {
      const one = kafka.producer(options);
      const close = one.close.bind(one);
      one.close = (timeoutMs) => {
        closed.push(one);
        return close(timeoutMs);
      };
      made.push(one);
      return one;
    };
    const worker = new Worker({
      ...{ kafka: { ...kafka, producer }, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      handler: (record, { send }) => send({ topic: 'out', value: record.value }),
    });
    await worker.start();
    await kafka.clock.advance(10_000);
    expect(kafka.records('out').map(({ value }) => String(value))).toEqual(['a', 'b', 'c']);
    expect([made.length, closed.length, closed[0] === made[0]]).toEqual([2, 1, true]);
    await worker.stop();
    expect(closed).toEqual(made);
  });

  it('is refused for a record whose partition is lost', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, out: { partitions: 1 } } });
    kafka.send([{ topic: 't', value: 'a' }]);
    const thrown: unknown[] = [];
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      handler: async (_record, { send, signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        try {
          send({ topic: 'out', value: 'too late' });
        } catch (error) {
          thrown.push(error);
        }
      },
    });
    await worker.start();
    await kafka.clock.advance(1_000);
    kafka.group('g').lose();
    await kafka.clock.advance(1_000);
    expect(thrown).toEqual([
      expect.objectContaining({ code: 'ILLEGAL_STATE', message: expect.stringContaining('t/0 offset 0') }),
    ]);
    expect(kafka.records('out')).toEqual([]);
    await worker.stop();
  });
});
