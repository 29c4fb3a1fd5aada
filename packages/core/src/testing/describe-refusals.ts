import { expect, it } from '@jest/globals';
import type { KafkaConsumer, StartOffset } from '../kafka-client.ts';
import type { NextOffset, OutgoingRecord, TopicPartition } from '../record.ts';
import type { ClusterSuite, GroupProtocol } from './cluster-suite.ts';

/** What is refused instead of done. Part of the contract of `KafkaCluster`. */
export function describeRefusals(suite: ClusterSuite, groupProtocol: GroupProtocol): void {
  it('refuses messages that can never be sent, at once', async () => {
    const producer = await suite.clients.producer();
    const refused: unknown[] = [
      undefined,
      { topic: '', value: 'x' },
      { topic: 5, value: 'x' },
      { topic: 't', value: 5 },
      { topic: 't', value: undefined },
      { topic: 't', value: 'x', key: 5n },
      { topic: 't', value: 'x', partition: -1 },
      { topic: 't', value: 'x', partition: '0' },
      { topic: 't', value: 'x', partition: 1.5 },
      { topic: 't', value: 'x', headers: 'h' },
      { topic: 't', value: 'x', headers: ['h'] },
      { topic: 't', value: 'x', headers: [['h', 5]] },
    ];
    for (const message of refused) {
      expect(() => void producer.send(message as OutgoingRecord)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      );
    }
  });

  it('refuses partitions, offsets and metadata that would crash or mislead a native client', async () => {
    const topic = await suite.clients.topic(1);
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.untilOwned(1);
    const good = { topic, partition: 0, offset: 1 };
    const refused: unknown[] = [
      'x',
      [undefined],
      [{ ...good, topic: '' }],
      [{ ...good, topic: undefined }],
      [{ ...good, partition: undefined }],
      [{ ...good, partition: '0' }],
      [{ ...good, partition: -1 }],
      [{ ...good, partition: 2 ** 31 }],
      [good, { ...good, partition: Number.NaN }],
    ];
    const refusedOffsets: unknown[] = [
      ...refused,
      [{ ...good, offset: undefined }],
      [{ ...good, offset: '5' }],
      [{ ...good, offset: 5n }],
      [{ ...good, offset: Number.NaN }],
      [{ ...good, offset: -1 }],
      [{ ...good, offset: 0.5 }],
      [{ ...good, offset: 2 ** 53 }],
    ];
    const refusedCommits: unknown[] = [
      ...refusedOffsets,
      [{ ...good, metadata: 'a\0b' }],
      [{ ...good, metadata: 5 }],
      [{ ...good, metadata: 'x'.repeat(4097) }],
    ];
    const { consumer } = member;
    const invalid = { code: 'INVALID_OPTION' };
    for (const value of refusedCommits)
      await expect(consumer.commit(value as NextOffset[])).rejects.toMatchObject(invalid);
    for (const value of refusedOffsets)
      await expect(consumer.seek(value as StartOffset[])).rejects.toMatchObject(invalid);
    for (const value of refused) {
      const partitions = value as TopicPartition[];
      await expect(consumer.committed(partitions)).rejects.toMatchObject(invalid);
      await expect(consumer.offsetsFor(partitions, 'latest')).rejects.toMatchObject(invalid);
      expect(() => consumer.pause(partitions)).toThrow(expect.objectContaining(invalid));
      expect(() => consumer.resume(partitions)).toThrow(expect.objectContaining(invalid));
    }
    for (const value of refusedOffsets)
      expect(() => consumer.assign(value as StartOffset[])).toThrow(expect.objectContaining(invalid));
    for (const position of ['newest', undefined, 0, new Date(Number.NaN)] as Date[])
      await expect(consumer.offsetsFor([{ topic, partition: 0 }], position)).rejects.toMatchObject(invalid);
    const names: unknown[] = ['', 'a b', 'x'.repeat(250), '..', 5];
    for (const name of names)
      expect(() => consumer.subscribe([name as string])).toThrow(expect.objectContaining(invalid));
    expect(() => consumer.subscribe([])).toThrow(expect.objectContaining(invalid));
    for (const max of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', undefined] as number[])
      await expect(consumer.poll(max, 0)).rejects.toMatchObject({ ...invalid, option: 'maxRecords' });
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, {}, Symbol('1')] as number[])
      await expect(consumer.poll(1, ms)).rejects.toMatchObject({ ...invalid, option: 'maxWaitMs' });
    expect(await consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: undefined }]);
  });

  it('gives a ConnectionError that names the brokers when none answers in time, and can be closed then', async () => {
    const nowhere = suite.under.unreachable;
    if (nowhere === undefined) throw new Error('a cluster of the same kind that does not answer is needed');
    const consumer = nowhere.consumer({ groupId: 'g', groupProtocol, ...suite.clients.options });
    await expect(consumer.connect({ timeoutMs: 400 })).rejects.toMatchObject({
      name: 'ConnectionError',
      brokers: nowhere.brokers,
      message: expect.stringContaining(nowhere.brokers[0] ?? '?'),
    });
    await consumer.close();
    const producer = nowhere.producer(suite.clients.options);
    await expect(producer.connect({ timeoutMs: 400 })).rejects.toMatchObject({ name: 'ConnectionError' });
    await producer.close(1_000);
    const aborted = nowhere.consumer({ groupId: 'g', groupProtocol, ...suite.clients.options });
    const signal = AbortSignal.timeout(100);
    const started = Date.now();
    await expect(aborted.connect({ timeoutMs: 60_000, signal })).rejects.toMatchObject({ name: 'ConnectionError' });
    expect(Date.now() - started).toBeLessThan(5_000);
    await aborted.close();
  });

  it('refuses calls out of order instead of making them', async () => {
    const consumer: KafkaConsumer = suite.under.cluster.consumer({
      groupId: 'g',
      groupProtocol,
      ...suite.clients.options,
    });
    const illegal = { code: 'ILLEGAL_STATE' };
    expect(() => consumer.subscribe(['t'])).toThrow(expect.objectContaining(illegal));
    await expect(consumer.commit([{ topic: 't', partition: 0, offset: 1 }])).rejects.toMatchObject(illegal);
    await expect(consumer.committed([{ topic: 't', partition: 0 }])).rejects.toMatchObject(illegal);
    await consumer.close();
    await expect(consumer.poll(1, 0)).rejects.toMatchObject(illegal);
  });
}
