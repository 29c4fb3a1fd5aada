import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import type { KafkaConsumerOptions } from '../kafka-client.ts';
import { EmbeddedClients } from './embedded-clients.ts';
import { type EmbeddedKafka, type EmbeddedKafkaOptions, embeddedKafka } from './embedded-kafka.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const client = { clock: systemClock, logger: quiet };
const invalid = { code: 'INVALID_OPTION' };
const illegal = { code: 'ILLEGAL_STATE' };

describe('embeddedKafka', () => {
  let kafka: EmbeddedKafka;
  beforeAll(async () => {
    kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
  });
  afterAll(async () => {
    await kafka[Symbol.asyncDispose]();
  });

  it.each<[string, unknown]>([
    ['no object', 5],
    ['topics that are a list', { topics: ['t'] }],
    ['a topic that is a number', { topics: { t: 3 } }],
    ['a topic without partitions', { topics: { t: {} } }],
    ['a topic of no partitions', { topics: { t: { partitions: 0 } } }],
    ['a topic that Kafka cannot have', { topics: { 'a b': { partitions: 1 } } }],
    ['no broker', { brokers: 0 }],
    ['half a broker', { brokers: 1.5 }],
    ['brokers without end', { brokers: 1e9 }],
    ['properties that are null', { librdkafka: null }],
    ['a property that librdkafka does not know', { librdkafka: { 'no.such.thing': 1 } }],
  ])('refuses options: %s', async (_case, options) => {
    await expect(embeddedKafka(options as EmbeddedKafkaOptions)).rejects.toMatchObject(invalid);
  });

  it.each([-1, 0, Number.NaN, '3', 1.5, 1e9, null])('refuses a topic of %j partitions', async (partitions) => {
    const options = { partitions: partitions as number };
    await expect(kafka.createTopic('x', options)).rejects.toMatchObject({ ...invalid, option: 'options.partitions' });
    const admin = kafka.admin(client);
    await expect(admin.createTopic('x', options)).rejects.toMatchObject({ ...invalid, option: 'options.partitions' });
  });

  it.each(['', '.', '..', 'a b', 'ä', 'a\0b', 'a/b', 'x'.repeat(250), 5, null, undefined])(
    'refuses a topic called %j',
    async (topic) => {
      await expect(kafka.createTopic(topic as string)).rejects.toMatchObject({ ...invalid, option: 'topic' });
      const admin = kafka.admin(client);
      const name = topic as string;
      await expect(admin.createTopic(name, { partitions: 1 })).rejects.toMatchObject({ ...invalid, option: 'topic' });
      await expect(admin.deleteTopic(name)).rejects.toMatchObject({ ...invalid, option: 'topic' });
      expect(() => kafka.deleteRecords(name, 0, 0)).toThrow(expect.objectContaining(invalid));
      await expect(kafka.committed('g', name)).rejects.toMatchObject(invalid);
    },
  );

  it('refuses brokers, partitions, offsets, errors and times that are none', () => {
    const calls = [
      () => kafka.setBrokerDown(0),
      () => kafka.setBrokerDown(2),
      () => kafka.setBrokerUp('1' as unknown as number),
      () => kafka.setRoundTrip(1, -1),
      () => kafka.setRoundTrip(1, Number.NaN),
      () => kafka.setRoundTrip(Number.NaN, 1),
      () => kafka.deleteRecords('t', -1, 0),
      () => kafka.deleteRecords('t', 0, -1),
      () => kafka.deleteRecords('t', 0, 1n as unknown as number),
      () => kafka.pushErrors(-1, [1]),
      () => kafka.pushErrors(1e9, [1]),
      () => kafka.pushErrors(8, 16 as unknown as number[]),
      () => kafka.pushErrors(8, ['16'] as unknown as number[]),
      () => kafka.pushErrors(8, [Number.NaN]),
    ];
    for (const call of calls) expect(call).toThrow(expect.objectContaining(invalid));
    kafka.pushErrors(8, []);
  });

  it('refuses every call once it is disposed of, where the native one would end the process', async () => {
    const gone = await embeddedKafka();
    const early = gone.consumer({ ...client, groupId: 'g', groupProtocol: 'classic' });
    await gone[Symbol.asyncDispose]();
    await gone[Symbol.asyncDispose]();
    const calls = [
      () => gone.consumer({ ...client, groupId: 'g', groupProtocol: 'classic' }),
      () => gone.producer(client),
      () => gone.admin(client),
      () => gone.deleteRecords('t', 0, 0),
      () => gone.pushErrors(8, [16]),
      () => gone.setBrokerDown(1),
      () => gone.setBrokerUp(1),
      () => gone.setRoundTrip(1, 1),
    ];
    for (const call of calls) expect(call).toThrow(expect.objectContaining(illegal));
    await expect(gone.createTopic('t')).rejects.toMatchObject(illegal);
    await expect(gone.send([])).rejects.toMatchObject(illegal);
    await expect(gone.committed('g', 't')).rejects.toMatchObject(illegal);
    await expect(early.connect({ timeoutMs: 1_000 })).rejects.toMatchObject(illegal);
  });

  it('refuses topics by an admin client that is not connected', async () => {
    const admin = kafka.admin(client);
    await expect(admin.createTopic('x', { partitions: 1 })).rejects.toMatchObject(illegal);
    await admin.connect({ timeoutMs: 10_000 });
    await admin.createTopic('x', { partitions: 1 });
    await admin.close();
    await expect(admin.deleteTopic('x')).rejects.toMatchObject(illegal);
  });

  it('sends again with a new producer once the last one has failed for good', async () => {
    await kafka.send([{ topic: 't', value: 'a' }]);
    kafka.pushErrors(0, [OUT_OF_ORDER_SEQUENCE]);
    await expect(kafka.send([{ topic: 't', value: 'b' }])).rejects.toMatchObject({ code: 'PRODUCE' });
    await kafka.send([{ topic: 't', value: 'c' }]);
  });

  it('sends again once a broker is there, after a producer could not be connected', async () => {
    await using other = await embeddedKafka({
      topics: { t: { partitions: 1 } },
      librdkafka: { 'socket.timeout.ms': 500 },
    });
    other.setBrokerDown(1);
    await expect(other.send([{ topic: 't', value: 'a' }])).rejects.toMatchObject({ code: 'CONNECTION' });
    other.setBrokerUp(1);
    await other.send([{ topic: 't', value: 'a' }]);
  }, 30_000);

  it('refuses options of clients', () => {
    const member = { ...client, groupId: 'g', groupProtocol: 'classic' };
    for (const wrong of [
      undefined,
      {},
      { ...member, clientId: 5 },
      { ...member, groupProtocol: 'x' },
      { ...member, groupId: '' },
    ])
      expect(() => kafka.consumer(wrong as unknown as KafkaConsumerOptions)).toThrow(expect.objectContaining(invalid));
  });
});

/** Kafka's code for a producer whose messages do not continue what the broker has. */
const OUT_OF_ORDER_SEQUENCE = 45;

describe('EmbeddedClients', () => {
  const fakeClient = (connects: () => Promise<void>) => {
    const closedWith: number[] = [];
    const close = async (timeoutMs: number): Promise<void> => void closedWith.push(timeoutMs);
    return { connect: connects, close, closedWith };
  };
  const watch = (clients: EmbeddedClients, client: ReturnType<typeof fakeClient>) =>
    clients.watch(client, () => client.close(7));

  it('keeps a client from its connect to its close, and forgets one that could not be connected', async () => {
    const clients = new EmbeddedClients();
    const one = watch(
      clients,
      fakeClient(async () => {}),
    );
    expect(clients.size).toBe(0);
    await one.connect();
    expect(clients.size).toBe(1);
    await one.close(5);
    expect([clients.size, one.closedWith]).toEqual([0, [5]]);
    const refused = watch(
      clients,
      fakeClient(() => Promise.reject(new Error('no'))),
    );
    await expect(refused.connect()).rejects.toThrow('no');
    expect(clients.size).toBe(0);
  });

  it('closes those that are connected, and lets no other connect', async () => {
    const clients = new EmbeddedClients();
    const one = watch(
      clients,
      fakeClient(async () => {}),
    );
    await one.connect();
    await clients.close();
    expect([clients.size, one.closedWith]).toEqual([0, [7]]);
    await expect(one.connect()).rejects.toMatchObject(illegal);
    expect(() => clients.assertOpen()).toThrow(expect.objectContaining(illegal));
  });
});
