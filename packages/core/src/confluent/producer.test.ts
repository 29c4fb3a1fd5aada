import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import type { ConnectOptions, KafkaProducer } from '../kafka-client.ts';
import { type EmbeddedKafka, embeddedKafka } from '../testing/embedded-kafka.ts';
import { confluentKafka } from './index.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Kafka's request kinds, and its codes. */
const PRODUCE = 0;
const INIT_PRODUCER_ID = 22;
const OUT_OF_ORDER_SEQUENCE = 45;
const DUPLICATE_SEQUENCE = 46;
const CLUSTER_AUTHORIZATION_FAILED = 31;

describe('ConfluentProducer', () => {
  let kafka: EmbeddedKafka;
  beforeAll(async () => {
    kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
  });
  afterAll(async () => {
    await kafka[Symbol.asyncDispose]();
  });

  async function producer(properties: Record<string, number> = {}): Promise<KafkaProducer & AsyncDisposable> {
    const cluster = confluentKafka({ brokers: kafka.brokers, librdkafka: properties });
    const made = cluster.producer({ clock: systemClock, logger: quiet });
    await made.connect({ timeoutMs: 10_000 });
    return Object.assign(made, { [Symbol.asyncDispose]: () => made.close(1_000) });
  }

  it('refuses for good what its whole queue cannot hold, and sends what just fits', async () => {
    await using small = await producer({ 'queue.buffering.max.kbytes': 10 });
    const fits = small.send({ topic: 't', key: 'k'.repeat(5_000), value: Buffer.alloc(10_240) });
    const next = small.send({ topic: 't', value: 'waits for room' });
    await expect(small.send({ topic: 't', value: Buffer.alloc(10_241) })).rejects.toMatchObject({
      name: 'ProduceError',
      retriable: false,
      message: expect.stringContaining('librdkafka["queue.buffering.max.kbytes"]'),
    });
    expect((await next).offset).toBe(((await fits).offset ?? Number.NaN) + 1);
  });

  it('does not know the offset of a message of which the broker only says that it has it already', async () => {
    await using repeating = await producer();
    kafka.pushErrors(PRODUCE, [DUPLICATE_SEQUENCE]);
    expect(await repeating.send({ topic: 't', value: 'x' })).toEqual({ topic: 't', partition: 0, offset: undefined });
  });

  it('says that it is of no more use once its idempotence has failed, and that another may send the message', async () => {
    await using failing = await producer();
    expect(failing.fatal).toBeUndefined();
    kafka.pushErrors(PRODUCE, [OUT_OF_ORDER_SEQUENCE]);
    const failure = { name: 'ProduceError', retriable: true, message: expect.stringContaining('out of order') };
    await expect(failing.send({ topic: 't', value: 'x' })).rejects.toMatchObject(failure);
    expect(failing.fatal).toMatchObject({ name: 'ClientError', retriable: false });
    await expect(failing.send({ topic: 't', value: 'x' })).rejects.toMatchObject(failure);
  });

  it('is of no more use when this user may not produce, and no other producer of theirs would be', async () => {
    kafka.pushErrors(INIT_PRODUCER_ID, [CLUSTER_AUTHORIZATION_FAILED]);
    await using refused = await producer();
    await expect(refused.send({ topic: 't', value: 'x' })).rejects.toMatchObject({
      name: 'ProduceError',
      retriable: false,
    });
    expect(refused.fatal).toMatchObject({ name: 'AuthorizationError' });
  });

  it.each<[unknown]>([
    [undefined],
    [{}],
    [{ timeoutMs: '5' }],
    [{ timeoutMs: Number.NaN }],
    [{ timeoutMs: -1 }],
    [{ timeoutMs: 5, signal: {} }],
  ])('refuses to connect with %j', async (options) => {
    const cluster = confluentKafka({ brokers: kafka.brokers });
    const made = cluster.producer({ clock: systemClock, logger: quiet });
    await expect(made.connect(options as ConnectOptions)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    const admin = cluster.admin({ clock: systemClock, logger: quiet });
    await expect(admin.connect(options as ConnectOptions)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await expect(made.close('5' as unknown as number)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await made.close(0);
    await admin.close();
  });
});
