import { describe, expect, it } from '@jest/globals';
import type { AssignmentEvent, KafkaConsumer } from '../kafka-client.ts';
import { stderrLogger } from '../logger.ts';
import type { FakeKafka, FakeKafkaOptions } from './fake-kafka.ts';
import { fakeKafka } from './fake-kafka.ts';

const p = (partition: number, topic = 't'): { topic: string; partition: number } => ({ topic, partition });

function cluster(partitions: number, options: FakeKafkaOptions = {}): FakeKafka {
  return fakeKafka({ topics: { t: { partitions } }, ...options });
}

async function member(
  kafka: FakeKafka,
  topics = ['t'],
  groupInstanceId?: string,
  clientId?: string,
): Promise<KafkaConsumer> {
  const instance = {
    ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
    ...(clientId === undefined ? {} : { clientId }),
  };
  const consumer = kafka.consumer({
    groupId: 'g',
    groupProtocol: 'classic',
    clock: kafka.clock,
    logger: stderrLogger,
    ...instance,
  });
  await consumer.connect({ timeoutMs: 1_000 });
  consumer.subscribe(topics);
  return consumer;
}

/** Polls once and answers what came, as text. */
async function answer(consumer: KafkaConsumer): Promise<string[]> {
  const { events } = await consumer.poll(0, 0);
  for (const event of events) {
    if (event.type === 'assigned') consumer.assign(event.partitions.map((partition) => ({ ...partition, offset: 0 })));
    else consumer.release(event.partitions);
  }
  return events.map(describeEvent);
}

function describeEvent(event: AssignmentEvent): string {
  return `${event.type} ${event.partitions.map(({ topic, partition }) => `${topic}/${partition}`).join(' ')}`;
}

describe('FakeGroup', () => {
  it('moves a partition only after its owner has released it', async () => {
    const kafka = cluster(4);
    const first = await member(kafka);
    expect(await answer(first)).toEqual(['assigned t/0 t/1 t/2 t/3']);
    const second = await member(kafka);
    expect(await answer(second)).toEqual([]);
    const { events } = await first.poll(0, 0);
    expect(events.map(describeEvent)).toEqual(['revoked t/2 t/3']);
    expect(await answer(second)).toEqual([]);
    first.release([p(2), p(3)]);
    expect(await answer(second)).toEqual(['assigned t/2 t/3']);
    expect(await answer(first)).toEqual([]);
  });

  it('gives the partitions of a member that leaves to the others', async () => {
    const kafka = cluster(2);
    const first = await member(kafka);
    const second = await member(kafka);
    await answer(first);
    await answer(first);
    expect(await answer(second)).toEqual(['assigned t/1']);
    await first.close();
    expect(await answer(second)).toEqual(['assigned t/0']);
  });

  it('deals partitions of several topics in turn with the round-robin assignor', async () => {
    const kafka = fakeKafka({ topics: { a: { partitions: 1 }, b: { partitions: 1 } }, assignor: 'round-robin' });
    const first = await member(kafka, ['a', 'b']);
    const second = await member(kafka, ['a', 'b']);
    await answer(first);
    await answer(first);
    expect(await answer(second)).toEqual(['assigned b/0']);
  });

  it('offers partitions and topics that appear later', async () => {
    const kafka = cluster(1);
    const consumer = await member(kafka, ['t', 'later']);
    await answer(consumer);
    kafka.addPartitions('t', 2);
    expect(await answer(consumer)).toEqual(['assigned t/1']);
    kafka.createTopic('later');
    expect(await answer(consumer)).toEqual(['assigned later/0']);
  });

  it('follows a change of the subscription', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, u: { partitions: 1 } } });
    const consumer = await member(kafka);
    await answer(consumer);
    consumer.subscribe(['u']);
    expect(await answer(consumer)).toEqual(['revoked t/0']);
    expect(await answer(consumer)).toEqual(['assigned u/0']);
    expect(kafka.group('g').assignment()).toEqual([p(0, 'u')]);
  });

  it('takes commits for a revoked partition until it is released', async () => {
    const kafka = cluster(1);
    const consumer = await member(kafka);
    await answer(consumer);
    kafka.group('g').revoke();
    const { events } = await consumer.poll(0, 0);
    expect(events.map(describeEvent)).toEqual(['revoked t/0']);
    await consumer.commit([{ ...p(0), offset: 3 }]);
    consumer.release([p(0)]);
    await expect(consumer.commit([{ ...p(0), offset: 4 }])).rejects.toMatchObject({
      retriable: false,
      failures: [{ kafkaCode: 22 }],
    });
    expect([...kafka.committed('g', 't')]).toEqual([[0, 3]]);
  });

  it('refuses commits for a lost partition before its member has heard of the loss', async () => {
    const kafka = cluster(2);
    const consumer = await member(kafka);
    await answer(consumer);
    kafka.group('g').lose([p(0)]);
    const commit = consumer.commit([
      { ...p(0), offset: 1 },
      { ...p(1), offset: 1 },
    ]);
    await expect(commit).rejects.toMatchObject({ retriable: false, failures: [{ ...p(0), offset: 1, kafkaCode: 22 }] });
    expect([...kafka.committed('g', 't')]).toEqual([[1, 1]]);
    expect(await answer(consumer)).toEqual(['lost t/0']);
  });

  it('leaves what a test has taken away without an owner until it is given back', async () => {
    const kafka = cluster(1);
    const consumer = await member(kafka);
    await answer(consumer);
    kafka.group('g').lose();
    await answer(consumer);
    expect(await answer(consumer)).toEqual([]);
    kafka.group('g').assign([p(0)]);
    expect(await answer(consumer)).toEqual(['assigned t/0']);
    kafka.group('g').revoke();
    await answer(consumer);
    kafka.group('g').rebalance();
    expect(await answer(consumer)).toEqual(['assigned t/0']);
  });

  it('reports a partition that is taken away while it is on offer only after the offer was answered', async () => {
    const kafka = cluster(1);
    const consumer = await member(kafka);
    const { events } = await consumer.poll(0, 0);
    kafka.group('g').lose();
    expect((await consumer.poll(0, 0)).events).toEqual([]);
    consumer.assign(events.flatMap((event) => event.partitions).map((partition) => ({ ...partition, offset: 0 })));
    expect(await answer(consumer)).toEqual(['lost t/0']);
  });

  it('reports no second event for a partition that is lost while it is being revoked', async () => {
    const kafka = cluster(1);
    const consumer = await member(kafka);
    await answer(consumer);
    kafka.group('g').revoke();
    await consumer.poll(0, 0);
    kafka.group('g').lose([p(0)]);
    await expect(consumer.commit([{ ...p(0), offset: 1 }])).rejects.toMatchObject({ failures: [{ kafkaCode: 22 }] });
    expect((await consumer.poll(0, 0)).events).toEqual([]);
    consumer.release([p(0)]);
    expect(kafka.group('g').assignment()).toEqual([]);
  });

  it('gives the partitions of a member that it expels to others at once, and lets it join again', async () => {
    const kafka = cluster(2);
    const first = await member(kafka);
    const second = await member(kafka);
    await answer(first);
    await answer(first);
    await answer(second);
    kafka.group('g').kick(0);
    expect(await answer(second)).toEqual(['assigned t/0']);
    await expect(first.commit([{ ...p(0), offset: 1 }])).rejects.toMatchObject({ failures: [{ kafkaCode: 25 }] });
    expect(await answer(first)).toEqual(['lost t/0']);
    expect(await answer(second)).toEqual(['revoked t/0']);
    expect(await answer(first)).toEqual(['assigned t/0']);
  });

  it('polls no record of a partition that was asked back', async () => {
    const kafka = cluster(1);
    kafka.send([{ topic: 't', value: 'a' }]);
    const consumer = await member(kafka);
    await answer(consumer);
    kafka.group('g').revoke();
    expect((await consumer.poll(10, 0)).records).toEqual([]);
  });

  it('ends a poll that waits when an event comes', async () => {
    const kafka = cluster(1);
    const consumer = await member(kafka);
    await answer(consumer);
    await consumer.poll(0, 0);
    const poll = consumer.poll(10, 60_000);
    await kafka.clock.settle();
    kafka.group('g').revoke();
    expect((await poll).events.map(describeEvent)).toEqual(['revoked t/0']);
  });

  it('keeps the partitions of a static member for its return, until its session is over', async () => {
    const kafka = cluster(2);
    const first = await member(kafka, ['t'], 'one');
    const other = await member(kafka);
    await answer(first);
    await answer(first);
    await answer(other);
    await first.close();
    expect(await answer(other)).toEqual([]);
    const again = await member(kafka, ['t'], 'one');
    expect(await answer(again)).toEqual(['assigned t/0']);
    await again.close();
    await kafka.clock.advance(45_000);
    expect(await answer(other)).toEqual(['assigned t/0']);
  });

  it('fences a static member off when another one with its name joins', async () => {
    const kafka = cluster(1);
    const first = await member(kafka, ['t'], 'one');
    await answer(first);
    const second = await member(kafka, ['t'], 'one');
    expect(await answer(second)).toEqual(['assigned t/0']);
    await expect(first.commit([{ ...p(0), offset: 1 }])).rejects.toMatchObject({ failures: [{ kafkaCode: 82 }] });
    const { errors } = await first.poll(0, 0);
    expect(errors).toMatchObject([{ code: 'CLIENT', retriable: false }]);
  });

  it('gives the partitions of a process that has crashed to others when its session is over, and hears no more of it', async () => {
    const kafka = cluster(2, { sessionTimeoutMs: 6_000 });
    const first = await member(kafka, ['t'], undefined, 'a');
    await answer(first);
    const second = await member(kafka, ['t'], undefined, 'b');
    expect(kafka.group('g').members).toEqual(['a', 'b']);
    let answered = 0;
    const count = (): void => {
      answered++;
    };
    first.commit([{ ...p(0), offset: 5 }]).then(count, count);
    first.poll(1, 0).then(count, count);
    kafka.crash('a');
    first.commit([{ ...p(0), offset: 6 }]).then(count, count);
    await kafka.clock.advance(5_999);
    expect(await answer(second)).toEqual([]);
    expect(kafka.group('g').owner(p(0))).toBe('a');
    await kafka.clock.advance(1);
    expect(kafka.group('g').owner(p(0))).toBe('b');
    expect(await answer(second)).toEqual(['assigned t/0 t/1']);
    expect(answered).toBe(0);
    expect(kafka.committed('g', 't').size).toBe(0);
    expect(kafka.group('g').members).toEqual(['b']);
  });

  it('loses what a crashed process has waiting for the brokers', async () => {
    const kafka = cluster(1, { sessionTimeoutMs: 6_000 });
    const first = await member(kafka, ['t'], undefined, 'a');
    await answer(first);
    const bringUp = kafka.outage();
    let answered = 0;
    const count = (): void => {
      answered++;
    };
    first.commit([{ ...p(0), offset: 5 }]).then(count, count);
    await kafka.clock.settle();
    kafka.crash('a');
    bringUp();
    await kafka.clock.advance(60_000);
    expect(answered).toBe(0);
    expect(kafka.committed('g', 't').size).toBe(0);
  });

  it('refuses offsets of a transaction that were on their way when the member let go of a partition', async () => {
    const kafka = cluster(2);
    const consumer = await member(kafka);
    await answer(consumer);
    const producer = kafka.transactionalProducer({
      ...{ clock: kafka.clock, logger: stderrLogger, transactionalId: 'x', transactionTimeoutMs: 10_000 },
    });
    await producer.connect({ timeoutMs: 1_000 });
    await producer.init(1_000);
    await producer.begin();
    const hold = kafka.hold('send-offsets');
    const late = producer.sendOffsets([{ ...p(1), offset: 5 }], consumer, 1_000);
    await hold.arrived();
    kafka.group('g').revoke([p(1)]);
    expect(await answer(consumer)).toEqual(['revoked t/1']);
    hold.release();
    await expect(late).rejects.toMatchObject({ kind: 'abortable', kafkaCode: 22 });
    await producer.abort(1_000);
    // As the member that it is by now, it may: brokers do not look at partitions.
    await producer.begin();
    await producer.sendOffsets([{ ...p(1), offset: 5 }], consumer, 1_000);
    await producer.commit(1_000);
    expect(kafka.committed('g', 't').get(1)).toBe(5);
  });
});
