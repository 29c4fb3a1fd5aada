import { describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from '../errors.ts';
import type { KafkaProducer } from '../kafka-client.ts';
import { stderrLogger } from '../logger.ts';
import type { OutgoingRecord } from '../record.ts';
import type { FakeKafka } from './fake-kafka.ts';
import { fakeKafka } from './fake-kafka.ts';

async function connected(kafka: FakeKafka): Promise<KafkaProducer> {
  const producer = kafka.producer({ clock: kafka.clock, logger: stderrLogger });
  await producer.connect({ timeoutMs: 1_000 });
  return producer;
}

describe('FakeProducer', () => {
  it('resolves with where the message is', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
    const producer = await connected(kafka);
    expect(await producer.send({ topic: 't', value: 'a', partition: 1 })).toEqual({
      topic: 't',
      partition: 1,
      offset: 0,
    });
    expect(await producer.send({ topic: 't', value: 'b', partition: 1 })).toEqual({
      topic: 't',
      partition: 1,
      offset: 1,
    });
  });

  it('keeps null and empty apart in key, value and headers', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const producer = await connected(kafka);
    await producer.send({
      topic: 't',
      key: null,
      value: '',
      headers: [
        ['a', null],
        ['a', ''],
        ['b', 'x'],
      ],
    });
    await producer.send({ topic: 't', key: '', value: null, headers: { c: 'y' } });
    const [first, second] = kafka.records('t');
    expect([first?.key, first?.value]).toEqual([null, Buffer.alloc(0)]);
    expect(first?.headers.getAll('a')).toEqual([null, Buffer.alloc(0)]);
    expect([second?.key, second?.value]).toEqual([Buffer.alloc(0), null]);
    expect(second?.headers.get('c')).toEqual(Buffer.from('y'));
  });

  it('sends a key to the same partition each time, and messages without one to all of them', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 4 } } });
    const producer = await connected(kafka);
    const keyed = new Set<number>();
    const unkeyed = new Set<number>();
    for (let i = 0; i < 8; i++) {
      keyed.add((await producer.send({ topic: 't', key: 'k', value: 'a' })).partition);
      unkeyed.add((await producer.send({ topic: 't', value: 'a' })).partition);
    }
    expect([keyed.size, unkeyed.size]).toEqual([1, 4]);
  });

  it('keeps the order of messages also while they are held up', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const producer = await connected(kafka);
    const hold = kafka.hold('send');
    const sent = ['a', 'b', 'c'].map((value) => producer.send({ topic: 't', value }));
    await hold.arrived();
    expect(kafka.records('t')).toEqual([]);
    hold.release();
    await Promise.all(sent);
    expect(kafka.records('t').map((record) => String(record.value))).toEqual(['a', 'b', 'c']);
  });

  it('rejects with a ProduceError what cannot be produced', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const producer = await connected(kafka);
    await expect(producer.send({ topic: 'none', value: 'a' })).rejects.toMatchObject({
      code: 'PRODUCE',
      topic: 'none',
    });
    kafka.failSends(1, { retriable: true });
    await expect(producer.send({ topic: 't', value: 'a' })).rejects.toMatchObject({ code: 'PRODUCE', retriable: true });
    await producer.send({ topic: 't', value: 'b' });
    expect(kafka.records('t')).toHaveLength(1);
  });

  it('refuses at once what can never be sent', async () => {
    const producer = await connected(fakeKafka({ topics: { t: { partitions: 1 } } }));
    const wrong: unknown[] = [
      { topic: '', value: 'a' },
      { topic: 't' },
      { topic: 't', value: 5 },
      { topic: 't', value: 'a', partition: -1 },
    ];
    for (const message of wrong) expect(() => producer.send(message as OutgoingRecord)).toThrow(InvalidOptionError);
  });

  it('waits for what was sent when it closes, but not for ever', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const producer = await connected(kafka);
    kafka.hold('send');
    void producer.send({ topic: 't', value: 'a' });
    const closed = producer.close(100);
    await kafka.clock.advance(100);
    await closed;
    await producer.close(100);
    expect(() => producer.send({ topic: 't', value: 'a' })).toThrow('closed');
  });
});

describe('FakeAdmin', () => {
  it('creates and deletes topics', async () => {
    const kafka = fakeKafka();
    const admin = kafka.admin({ clock: kafka.clock, logger: stderrLogger });
    await admin.connect({ timeoutMs: 1_000 });
    await admin.createTopic('t', { partitions: 2 });
    kafka.send([{ topic: 't', value: 'a' }]);
    await expect(admin.createTopic('t', { partitions: 2 })).rejects.toThrow('exists already');
    await admin.deleteTopic('t');
    expect(() => kafka.records('t')).toThrow('unknown topic');
    await admin.close();
  });
});
