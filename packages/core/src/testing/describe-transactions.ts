import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from '@jest/globals';
import { InvalidOptionError } from '../errors.ts';
import type { KafkaConsumer } from '../kafka-client.ts';
import type { OutgoingRecord } from '../record.ts';
import type { TransactionalProducer } from '../transactional-producer.ts';
import type { ClusterSuite, GroupProtocol } from './cluster-suite.ts';
import { type Member, uniqueName } from './cluster-under-test.ts';

const CALL_MS = 10_000;

/** Messages and offsets that become visible together, or not at all. Part of the contract of `KafkaCluster`. */
export function describeTransactions(suite: ClusterSuite, groupProtocol: GroupProtocol): void {
  const test = suite.having(suite.capabilities.transactions);
  const values = (member: Member): string[] => member.records.map(({ value }) => String(value));
  const numbers = (topic: string, count: number, from: number): OutgoingRecord[] =>
    Array.from({ length: count }, (_, i) => ({ topic, partition: 0, value: String(from + i) }));
  const write = (producer: TransactionalProducer, messages: readonly OutgoingRecord[]): Promise<unknown> =>
    Promise.all(messages.map((message) => producer.send(message)));

  suite.having(!suite.capabilities.transactions)('says why there are no transactions, and makes no producer', () => {
    const { cluster } = suite.under;
    expect(cluster.transactionRefusal).toMatch(/offsets/);
    const options = { ...suite.clients.options, transactionalId: 'x', transactionTimeoutMs: 10_000 };
    expect(() => cluster.transactionalProducer(options)).toThrow(InvalidOptionError);
  });

  test('shows what is committed, in order, and neither what is open nor what was aborted', async () => {
    const topic = await suite.clients.topic(1);
    const producer = await suite.clients.transactional();
    const reader = await suite.clients.member([topic], { groupProtocol });
    await reader.untilOwned(1);
    await producer.begin();
    await write(producer, numbers(topic, 100, 0));
    expect(await reader.receivedWithin(300)).toEqual([]);
    await producer.commit(CALL_MS);
    await reader.untilRecords(100);
    await producer.begin();
    await write(producer, numbers(topic, 10, 1_000));
    await producer.abort(CALL_MS);
    await producer.begin();
    await write(producer, numbers(topic, 50, 100));
    await producer.commit(CALL_MS);
    await reader.untilRecords(150);
    await reader.untilPosition(topic, 0, 163);
    expect(values(reader)).toEqual(Array.from({ length: 150 }, (_, i) => String(i)));
  });

  test('commits offsets with metadata together with the messages, and drops them together', async () => {
    const topic = await suite.clients.topic(1);
    const groupId = uniqueName('group');
    const producer = await suite.clients.transactional();
    const member = await suite.clients.member([topic], { groupProtocol, groupId });
    await member.untilOwned(1);
    const { consumer } = member;
    const at = { topic, partition: 0 };
    await producer.begin();
    await producer.send({ ...at, value: 'a' });
    await producer.sendOffsets([{ ...at, offset: 7, metadata: 'why' }], consumer, CALL_MS);
    await producer.abort(CALL_MS);
    expect((await stable(consumer, at))?.offset).toBeUndefined();
    await producer.begin();
    await producer.send({ ...at, value: 'b' });
    await producer.sendOffsets([{ ...at, offset: 8, metadata: 'why' }], consumer, CALL_MS);
    await producer.commit(CALL_MS);
    expect(await stable(consumer, at)).toMatchObject({ offset: 8, metadata: 'why' });
    await member.untilRecords(1);
    expect(values(member)).toEqual(['b']);
  });

  test('never gives a committed offset that an open transaction is about to replace', async () => {
    const topic = await suite.clients.topic(1);
    const producer = await suite.clients.transactional();
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.untilOwned(1);
    const { consumer } = member;
    const at = { topic, partition: 0 };
    await consumer.commit([{ ...at, offset: 1 }]);
    await producer.begin();
    await producer.send({ ...at, value: 'a' });
    await producer.sendOffsets([{ ...at, offset: 5 }], consumer, CALL_MS);
    const asked = stable(consumer, at);
    await sleep(200);
    await producer.commit(CALL_MS);
    expect((await asked)?.offset).toBe(5);
  });

  test('shuts out whoever had the id before, and drops what that one left open', async () => {
    const topic = await suite.clients.topic(1);
    const id = uniqueName('transactional');
    const old = await suite.clients.transactional(id);
    await old.begin();
    await old.send({ topic, partition: 0, value: 'late' });
    const next = await suite.clients.transactional(id);
    await expect(old.commit(CALL_MS)).rejects.toMatchObject({ code: 'TRANSACTION', kind: 'fatal', retriable: false });
    await expect(old.abort(CALL_MS)).rejects.toMatchObject({ code: 'TRANSACTION', kind: 'fatal' });
    await next.begin();
    await next.send({ topic, partition: 0, value: 'mine' });
    await next.commit(CALL_MS);
    const reader = await suite.clients.member([topic], { groupProtocol });
    await reader.untilRecords(1);
    await reader.receivedWithin(200);
    expect(values(reader)).toEqual(['mine']);
  });

  test('refuses offsets of who is no member of a group that has some, and can go on after an abort', async () => {
    const topic = await suite.clients.topic(1);
    const groupId = uniqueName('group');
    const producer = await suite.clients.transactional();
    const member = await suite.clients.member([topic], { groupProtocol, groupId });
    await member.untilOwned(1);
    const stranger = await suite.clients.consumer({ groupProtocol, groupId });
    const at = { topic, partition: 0 };
    await producer.begin();
    await producer.send({ ...at, value: 'a' });
    const refused = producer.sendOffsets([{ ...at, offset: 1 }], stranger, CALL_MS);
    await expect(refused).rejects.toMatchObject({ code: 'TRANSACTION', kind: 'abortable' });
    await expect(producer.commit(CALL_MS)).rejects.toMatchObject({ code: 'TRANSACTION', kind: 'abortable' });
    await producer.abort(CALL_MS);
    await producer.begin();
    await producer.send({ ...at, value: 'b' });
    await producer.sendOffsets([{ ...at, offset: 1 }], member.consumer, CALL_MS);
    await producer.commit(CALL_MS);
    await member.untilRecords(1);
    expect(values(member)).toEqual(['b']);
  });

  test('says of a message for a partition that is not there that it can never be written, and can go on', async () => {
    const topic = await suite.clients.topic(1);
    const producer = await suite.clients.transactional();
    await producer.begin();
    const [, bad] = await Promise.allSettled([
      producer.send({ topic, partition: 0, value: 'a' }),
      producer.send({ topic, partition: 9, value: 'b' }),
    ]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'PRODUCE', retriable: false } });
    await producer.abort(CALL_MS);
    await producer.begin();
    await producer.send({ topic, partition: 0, value: 'c' });
    await producer.commit(CALL_MS);
    const reader = await suite.clients.member([topic], { groupProtocol });
    await reader.untilRecords(1);
    expect(values(reader)).toEqual(['c']);
  });

  describe.each([
    ['each', true],
    ['none', false],
  ])('sent together, by a producer that tells of %s,', (_of, tellsEach) => {
    test('messages are all there and in order, however many', async () => {
      const topic = await suite.clients.topic(1);
      const producer = await suite.clients.transactional(undefined, tellsEach);
      await producer.begin();
      await producer.sendAll(numbers(topic, 2_500, 0), CALL_MS);
      await producer.sendAll([], CALL_MS);
      await producer.commit(CALL_MS);
      await producer.begin();
      await producer.sendAll(numbers(topic, 10, 2_500), CALL_MS);
      await producer.commit(CALL_MS);
      const reader = await suite.clients.member([topic], { groupProtocol });
      await reader.untilRecords(2_510);
      expect(values(reader)).toEqual(Array.from({ length: 2_510 }, (_, i) => String(i)));
    });

    test('nothing can be committed when one was not written; after an abort it can go on', async () => {
      const topic = await suite.clients.topic(1);
      const groupId = uniqueName('group');
      const producer = await suite.clients.transactional(undefined, tellsEach);
      const member = await suite.clients.member([topic], { groupProtocol, groupId });
      await member.untilOwned(1);
      const at = { topic, partition: 0 };
      await producer.begin();
      const bad = { topic, partition: 9, value: 'bad' };
      const committed = async (): Promise<void> => {
        await producer.sendAll([...numbers(topic, 5, 0), bad, ...numbers(topic, 5, 5)], CALL_MS);
        await producer.sendOffsets([{ ...at, offset: 7 }], member.consumer, CALL_MS);
        await producer.commit(CALL_MS);
      };
      // Which of the steps tells it is the client's affair.
      await expect(committed()).rejects.toMatchObject({ code: expect.stringMatching(/^(PRODUCE|TRANSACTION)$/) });
      await producer.abort(CALL_MS);
      expect((await stable(member.consumer, at))?.offset).toBeUndefined();
      await producer.begin();
      await producer.sendAll([{ ...at, value: 'good' }], CALL_MS);
      await producer.sendOffsets([{ ...at, offset: 8 }], member.consumer, CALL_MS);
      await producer.commit(CALL_MS);
      expect((await stable(member.consumer, at))?.offset).toBe(8);
      await member.untilRecords(1);
      expect(values(member)).toEqual(['good']);
    });

    test('nothing can be committed when one was refused at once, though all others were written', async () => {
      const topic = await suite.clients.topic(1);
      const producer = await suite.clients.transactional(undefined, tellsEach);
      const at = { topic, partition: 0 };
      await producer.begin();
      // From now on the client knows how many partitions there are.
      await producer.sendAll(numbers(topic, 5, 0), CALL_MS);
      const refused = [
        { ...at, value: 'a' },
        { topic, partition: 9, value: 'b' },
        { ...at, value: 'c' },
      ];
      await producer.sendAll(refused, CALL_MS).catch(() => {});
      await expect(producer.commit(CALL_MS)).rejects.toMatchObject({ code: 'TRANSACTION', kind: 'abortable' });
      await producer.abort(CALL_MS);
      await producer.begin();
      await producer.sendAll([{ ...at, value: 'good' }], CALL_MS);
      await producer.commit(CALL_MS);
      const reader = await suite.clients.member([topic], { groupProtocol });
      await reader.untilRecords(1);
      await reader.receivedWithin(200);
      expect(values(reader)).toEqual(['good']);
    });

    test('what can never be sent is refused', async () => {
      const topic = await suite.clients.topic(1);
      const producer = await suite.clients.transactional(undefined, tellsEach);
      await producer.begin();
      const sent = producer.sendAll(
        [
          { topic, value: 'a' },
          { topic: '', value: 'b' },
        ],
        CALL_MS,
      );
      await expect(sent).rejects.toThrow(InvalidOptionError);
      await expect(producer.commit(CALL_MS)).rejects.toMatchObject({ code: 'TRANSACTION', kind: 'abortable' });
      await producer.abort(CALL_MS);
      if (!tellsEach) expect(() => producer.send({ topic, value: 'a' })).toThrow(/sendAll/);
    });
  });

  test('refuses what would reach native code and ends there', async () => {
    const topic = await suite.clients.topic(1);
    const producer = await suite.clients.transactional();
    const consumer = await suite.clients.consumer({ groupProtocol });
    await producer.begin();
    const at = { topic, partition: 0, offset: 1 };
    for (const wrong of [{ ...at, offset: '1' }, { topic, offset: 1 }, { ...at, partition: '0' }, null]) {
      await expect(producer.sendOffsets([wrong as never], consumer, CALL_MS)).rejects.toThrow(InvalidOptionError);
    }
    await expect(producer.sendOffsets([at], {} as never, CALL_MS)).rejects.toThrow(InvalidOptionError);
    expect(() => producer.send({ topic: '', value: 'x' })).toThrow(InvalidOptionError);
    await consumer.close();
    await expect(producer.sendOffsets([at], consumer, CALL_MS)).rejects.toThrow(/not connected|closed/);
    const options = { ...suite.clients.options, transactionalId: '', transactionTimeoutMs: 10_000 };
    expect(() => suite.under.cluster.transactionalProducer(options)).toThrow(InvalidOptionError);
    expect(() => producer.check({ topic, value: Buffer.alloc(1_000_001) })).toThrow(/1000000 bytes/);
  });
}

/** The committed offset, asked for again as long as it is not stable. */
async function stable(
  consumer: KafkaConsumer,
  partition: { topic: string; partition: number },
): Promise<{ offset: number | undefined; metadata: string | undefined } | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      return (await consumer.committed([partition]))[0];
    } catch (error) {
      if (tries > 50 || !(error as { retriable?: boolean }).retriable) throw error;
      await sleep(50);
    }
  }
}
