import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import type { OutgoingRecord, ReceivedRecord } from '../record.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { openTransaction } from '../testing/open-transaction.ts';
import { type ConfluentKafkaOptions, confluentKafka } from './index.ts';

const brokers = process.env.KAFKA_BROKERS;
const MIB = 1024 * 1024;

if (brokers === undefined) {
  describe('both readers', () => {
    it.skip('need a broker: set KAFKA_BROKERS, or start one with npm run kafka -- start', () => {});
  });
} else {
  describeBothReaders(brokers.split(','));
}

/** What a record says, for comparing. The native client does not tell a null header from an empty one. */
const plain = ({ partition, offset, timestamp, key, value, headers }: ReceivedRecord, readsNullHeaders: boolean) => ({
  ...{ partition, offset, timestamp, key: key?.toString('hex') ?? null },
  value: value === null ? null : value.length > 1_000 ? `${value.length} of ${value[0]}` : value.toString('hex'),
  headers: Array.from(headers, ([name, own]) => [name, own?.toString('hex') ?? (readsNullHeaders ? null : '')]),
});

/** Everything that a record can be: nothing, empty, large, with headers of all kinds. */
function allKinds(topic: string): OutgoingRecord[] {
  const headers = [
    ['a', 'one'],
    ['a', null],
    ['', ''],
    ['ü', Buffer.from([0, 255])],
    ['z', 'last'],
  ] as const;
  const values = [null, '', 'x', 'y'.repeat(300), Buffer.alloc(100_000, 7), Buffer.alloc(MIB, 8)];
  return values.flatMap((value, i) => [
    { topic, partition: i % 2, key: null, value },
    { topic, partition: i % 2, key: '', value, headers },
    { topic, partition: i % 2, key: `key-${i}`, value: value ?? 'v', headers: [['h', null]] },
    ...Array.from({ length: 200 }, (_, n) => ({ topic, partition: i % 2, key: `k${n}`, value: `value ${n} of ${i}` })),
  ]);
}

function describeBothReaders(list: readonly string[]): void {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const clientsOf = (options: Partial<ConfluentKafkaOptions>): TestClients => {
    const cluster = confluentKafka({ brokers: list, ...options });
    const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
    closing.push(() => clients.close());
    return clients;
  };

  /** All that a reader finds up to these offsets. */
  const readBy = async (
    reader: 'direct' | 'librdkafka',
    topic: string,
    ends: readonly number[],
    librdkafka = {},
  ): Promise<ReceivedRecord[]> => {
    const member = await clientsOf({ reader, librdkafka }).member([topic], { groupProtocol: 'consumer' });
    for (const [partition, end] of ends.entries()) await member.untilPosition(topic, partition, end);
    expect(member.errors).toEqual([]);
    return member.records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  };

  const expectSame = async (topic: string, ends: readonly number[], librdkafka = {}): Promise<ReceivedRecord[]> => {
    const direct = await readBy('direct', topic, ends, librdkafka);
    const other = await readBy('librdkafka', topic, ends, librdkafka);
    expect(direct.map((record) => plain(record, false))).toEqual(other.map((record) => plain(record, false)));
    return direct;
  };

  describe('both readers bring the same', () => {
    it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('packed by a producer: %s', async (codec) => {
      const clients = clientsOf({
        librdkafka: { 'compression.type': codec, 'linger.ms': 50, 'message.max.bytes': 8 * MIB },
      });
      const topic = uniqueName('kinds');
      const config = { 'max.message.bytes': String(8 * MIB) };
      await (await clients.admin()).createTopic(topic, { partitions: 2, config });
      const sent = allKinds(topic);
      const places = await clients.send([
        ...sent,
        { topic, partition: 0, key: 'large', value: Buffer.alloc(5 * MIB, 9) },
      ]);
      const ends = [0, 1].map((partition) => places.filter((place) => place.partition === partition).length);
      const direct = await expectSame(topic, ends);
      // And that is what was sent, null headers included.
      const nulls = direct.filter(({ headers }) => headers.get('h') === null);
      expect([direct.length, nulls.length]).toEqual([sent.length + 1, 6]);
    });

    it.each(['gzip', 'snappy', 'lz4', 'zstd'])('packed anew by the broker: %s', async (codec) => {
      const clients = clientsOf({ librdkafka: { 'linger.ms': 50, 'message.max.bytes': 2 * MIB } });
      const topic = uniqueName('packed');
      const config = { 'compression.type': codec, 'max.message.bytes': String(2 * MIB) };
      await (await clients.admin()).createTopic(topic, { partitions: 2, config });
      const places = await clients.send(allKinds(topic));
      await expectSame(
        topic,
        [0, 1].map((partition) => places.filter((place) => place.partition === partition).length),
      );
    });

    it.each(['read_committed', 'read_uncommitted'])(
      'of transactions, aborted ones among them, %s',
      async (isolation) => {
        const clients = clientsOf({});
        const topic = await clients.topic(1);
        for (const turn of [0, 1, 2]) {
          await clients.sendNumbers(topic, 0, 3, turn * 3);
          const open = await openTransaction(list.join(','), topic, 4);
          await clients.sendNumbers(topic, 0, 1, 100 + turn);
          await open.end(turn === 1 ? 'commit' : 'abort');
          await open.close();
        }
        await clients.sendNumbers(topic, 0, 1, 1_000);
        const [end] = await (await clients.consumer({ groupProtocol: 'consumer' })).offsetsFor(
          [{ topic, partition: 0 }],
          'latest',
        );
        const records = await expectSame(topic, [end?.offset ?? -1], { 'isolation.level': isolation });
        expect(records).toHaveLength(isolation === 'read_committed' ? 17 : 25);
      },
    );
  });
}
