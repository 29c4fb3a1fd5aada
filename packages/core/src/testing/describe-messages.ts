import { expect, it } from '@jest/globals';
import { InvalidOptionError } from '../errors.ts';
import type { ClusterSuite, GroupProtocol } from './cluster-suite.ts';
import { uniqueName } from './cluster-under-test.ts';

/** What is sent, and comes as it was sent. Part of the contract of `KafkaCluster`. */
export function describeMessages(suite: ClusterSuite, groupProtocol: GroupProtocol): void {
  it('counts partitions, of named topics and of all, and leaves unknown and internal ones out', async () => {
    const topic = await suite.clients.topic(3);
    const consumer = await suite.clients.consumer({ groupProtocol });
    const unknown = uniqueName('unknown');
    expect([...(await consumer.partitionCounts([topic, unknown]))]).toEqual([[topic, 3]]);
    const all = await consumer.partitionCounts();
    expect(all.get(topic)).toBe(3);
    expect(all.has(unknown)).toBe(false);
    expect(all.has('__consumer_offsets')).toBe(false);
  });

  it('brings keys, values, headers and timestamps as they were sent: null, empty, repeated names', async () => {
    const topic = await suite.clients.topic(1);
    const bytes = Buffer.from([0, 255, 1]);
    const before = Date.now();
    await suite.clients.send([
      { topic, partition: 0, key: 'k', value: 'v', headers: { one: '1' } },
      { topic, partition: 0, key: null, value: null },
      { topic, partition: 0, key: '', value: '' },
      { topic, partition: 0, key: Buffer.alloc(0), value: Buffer.alloc(0) },
      {
        topic,
        partition: 0,
        key: bytes,
        value: bytes,
        headers: [
          ['a', '1'],
          ['b', bytes],
          ['a', ''],
          ['__proto__', 'x'],
        ],
      },
      { topic, partition: 0, value: 'x', headers: [['n', null]] },
    ]);
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.untilRecords(6);
    const [plain, nulls, empties, buffers, lists, nullHeader] = member.records;
    expect(plain?.toJSON()).toMatchObject({
      topic,
      partition: 0,
      offset: 0,
      key: 'k',
      value: 'v',
      headers: [['one', '1']],
    });
    expect([nulls?.key, nulls?.value]).toEqual([null, null]);
    expect([empties?.key, empties?.value].map((b) => b?.length)).toEqual([0, 0]);
    expect([buffers?.key, buffers?.value].map((b) => b?.length)).toEqual([0, 0]);
    expect([lists?.key, lists?.value].map((b) => b?.toString('hex'))).toEqual(['00ff01', '00ff01']);
    const headers = Array.from(lists?.headers ?? [], ([name, value]) => [name, value?.toString('hex')]);
    expect(headers).toEqual([
      ['a', '31'],
      ['b', '00ff01'],
      ['a', ''],
      ['__proto__', '78'],
    ]);
    expect(lists?.headers.get('a')?.length).toBe(0);
    expect(lists?.headers.getAll('a')).toHaveLength(2);
    expect(lists?.headers.get('c')).toBeUndefined();
    const read = nullHeader?.headers.get('n');
    if (suite.capabilities.readsNullHeaders) expect(read).toBeNull();
    else expect(read?.length ?? 0).toBe(0);
    const copy = lists?.copy();
    expect(copy?.toJSON()).toEqual(lists?.toJSON());
    expect(plain?.timestamp ?? 0).toBeGreaterThan(before - 3_600_000);
    expect(lists?.sizeBytes ?? 0).toBeGreaterThan(6);
  });

  it('sends in order, and says where each message went', async () => {
    const topic = await suite.clients.topic(2);
    const sent = await suite.clients.send(
      Array.from({ length: 200 }, (_, i) => ({ topic, partition: i % 2, value: String(i) })),
    );
    expect(sent.map(({ partition, offset }) => [partition, offset])).toEqual(
      Array.from({ length: 200 }, (_, i) => [i % 2, Math.floor(i / 2)]),
    );
    const keyed = await suite.clients.send(['a', 'b', 'a', 'b', 'a'].map((key) => ({ topic, key, value: key })));
    expect(keyed[0]?.partition).toBe(keyed[2]?.partition);
    expect(keyed[0]?.partition).toBe(keyed[4]?.partition);
    expect(keyed[1]?.partition).toBe(keyed[3]?.partition);
  });

  suite.having(suite.capabilities.limitsMessageSize)('rejects a message that is too large', async () => {
    const topic = await suite.clients.topic(1);
    const producer = await suite.clients.producer();
    const sending = producer.send({ topic, value: Buffer.alloc(3_000_000) });
    await expect(sending).rejects.toMatchObject({ name: 'ProduceError', topic, retriable: false });
  });

  it('closes a producer with everything sent, and refuses after that', async () => {
    const topic = await suite.clients.topic(1);
    const producer = suite.under.cluster.producer(suite.clients.options);
    const early = async () => producer.send({ topic, value: 'x' });
    await expect(early()).rejects.toMatchObject({ code: 'ILLEGAL_STATE' });
    expect(() => producer.check({ topic: '', value: 'x' })).toThrow(InvalidOptionError);
    producer.check({ topic, value: 'x' });
    await producer.connect({ timeoutMs: 10_000 });
    const sent = Array.from({ length: 10 }, (_, i) => producer.send({ topic, value: String(i) }));
    await Promise.all([producer.close(5_000), producer.close(5_000)]);
    expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual(Array.from({ length: 10 }, (_, i) => i));
    await expect((async () => producer.send({ topic, value: 'x' }))()).rejects.toMatchObject({
      code: 'ILLEGAL_STATE',
    });
  });
}
