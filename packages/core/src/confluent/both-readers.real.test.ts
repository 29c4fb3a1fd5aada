import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import type { OutgoingRecord, ReceivedRecord } from '../record.ts';
import { batchesAt } from '../testing/batches-at.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { openTransaction } from '../testing/open-transaction.ts';
import { packableBytes } from '../testing/packable-bytes.ts';
import { pauseFor } from './bounded.ts';
import { type ConfluentKafkaOptions, confluentKafka } from './index.ts';

const brokers = process.env.KAFKA_BROKERS;
const MIB = 1024 * 1024;
/** A broker of the defaults cleans every 15 s. */
const COMPACTION_MS = 60_000;

if (brokers === undefined) {
  describe('both readers', () => {
    it.skip('need a broker: set KAFKA_BROKERS, or start one with npm run kafka -- start', () => {});
  });
} else {
  describeBothReaders(brokers.split(','));
}

/** All that a value says; of a large one no more than tells it from any other. */
const plainValue = (value: Buffer | null): string | null => {
  if (value === null || value.length <= 1_000) return value?.toString('hex') ?? null;
  return `${value.length} bytes, sha1 ${createHash('sha1').update(value).digest('hex')}`;
};

/** What a record says, for comparing. The native client does not tell a null header from an empty one. */
const plain = ({ partition, offset, timestamp, key, value, headers }: ReceivedRecord, readsNullHeaders: boolean) => ({
  ...{ partition, offset, timestamp, key: key?.toString('hex') ?? null },
  value: plainValue(value),
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
  const values = [null, '', 'x', 'y'.repeat(300), packableBytes(100_000, 7), packableBytes(MIB, 8)];
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
      const large = { topic, partition: 0, key: 'large', value: packableBytes(5 * MIB, 9) };
      const sent = [...allKinds(topic), large];
      const places = await clients.send(sent);
      const ends = [0, 1].map((partition) => places.filter((place) => place.partition === partition).length);
      const direct = await expectSame(topic, ends);
      // And that is what was sent, null headers included.
      const nulls = direct.filter(({ headers }) => headers.get('h') === null);
      expect([direct.length, nulls.length]).toEqual([sent.length, 6]);
      const valueAt = new Map(places.map((place, i) => [`${place.partition}@${place.offset}`, sent[i]?.value ?? null]));
      const came = direct.map(({ value }) => plainValue(value));
      expect(came).toEqual(
        direct.map(({ partition, offset }) => {
          const value = valueAt.get(`${partition}@${offset}`) ?? null;
          return plainValue(value === null ? null : Buffer.from(value));
        }),
      );
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

    it.each([
      ['read_committed', 'none', 0],
      ['read_uncommitted', 'none', 0],
      ['read_committed', 'gzip', 1],
      ['read_uncommitted', 'gzip', 1],
      ['read_committed', 'zstd', 4],
      ['read_uncommitted', 'zstd', 4],
    ] as const)('of transactions, aborted ones among them, %s, packed: %s', async (isolation, codec, compression) => {
      const clients = clientsOf({});
      const topic = await clients.topic(1);
      for (const turn of [0, 1, 2]) {
        await clients.sendNumbers(topic, 0, 3, turn * 3);
        const values = [1, 2, 3, 4].map((record) => packableBytes(5_000, turn * 4 + record));
        const open = await openTransaction(list.join(','), topic, values, { 'compression.type': codec });
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
      const written = (await batchesAt(list[0] ?? '', topic)).filter((one) => one.isTransactional && !one.isControl);
      expect([...new Set(written.map((batch) => batch.compression))]).toEqual([compression]);
    });

    it(
      'of a compacted log: gaps, tombstones, and a batch that nothing is left of',
      async () => {
        const topic = uniqueName('compacted');
        const clients = clientsOf({ librdkafka: { 'linger.ms': 100 } });
        const config = {
          ...{ 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' },
          ...{ 'segment.ms': '100', 'max.compaction.lag.ms': '100' },
        };
        await (await clients.admin()).createTopic(topic, { partitions: 1, config });
        const write = (from: TestClients, keys: readonly string[], value: string | null): Promise<unknown> =>
          from.send(keys.map((key) => ({ topic, partition: 0, key, value })));
        // All of its records are replaced, and the batch stays, empty: it is the last one of its producer.
        await write(clientsOf({ librdkafka: { 'linger.ms': 100 } }), ['a', 'b', 'c', 'd', 'e'], 'replaced');
        const packed = clientsOf({ librdkafka: { 'linger.ms': 100, 'compression.type': 'gzip' } });
        await write(packed, ['a', 'b', 'x', 'c', 'x', 'd', 'e', 'x'], 'kept, or x');
        await write(clients, ['c', 'x', 'y'], null);
        await write(clients, ['x', 'z'], 'last');
        // Rolls the segment: only what lies before the active one is compacted.
        await pauseFor(300);
        await write(clients, ['z'], 'in the active segment');
        const [end, kept] = [19, 9];
        const deadline = Date.now() + COMPACTION_MS;
        let batches = await batchesAt(list[0] ?? '', topic);
        const count = (): number => batches.reduce((sum, { recordCount }) => sum + recordCount, 0);
        for (; count() > kept && Date.now() < deadline; batches = await batchesAt(list[0] ?? '', topic))
          await pauseFor(500);
        expect(batches[0]).toMatchObject({ baseOffset: 0, lastOffset: 4, recordCount: 0 });
        // One batch at a time, also that of which nothing is left.
        await expectSame(topic, [end], { 'max.partition.fetch.bytes': 1 });
        const records = await expectSame(topic, [end]);
        const left = records.map(({ offset, key, value }) => [offset, String(key), value === null]);
        expect(left).toEqual([
          ...[
            [5, 'a', false],
            [6, 'b', false],
            [10, 'd', false],
            [11, 'e', false],
          ],
          ...[
            [13, 'c', true],
            [15, 'y', true],
          ],
          ...[
            [16, 'x', false],
            [17, 'z', false],
            [18, 'z', false],
          ],
        ]);
      },
      COMPACTION_MS + 30_000,
    );

    it('and auto is the direct one, which is told once', async () => {
      const told: unknown[] = [];
      const info = (message: string, fields?: object): void => void told.push({ message, ...fields });
      const logger = { debug() {}, info, warn() {}, error() {} };
      const clients = clientsOf({ reader: 'auto' });
      const topic = await clients.topic(1);
      await clients.sendNumbers(topic, 0, 3);
      const reading = (choice: object): void => void told.push(choice);
      const member = await clients.member([topic], { groupProtocol: 'consumer', logger, reading });
      await member.untilPosition(topic, 0, 3);
      expect(member.offsets()).toEqual([0, 1, 2]);
      const why = 'nothing stands against it';
      expect(told).toEqual([
        { message: 'kafka consumer starts', brokers: list, reader: 'direct', why },
        { reader: 'direct', why },
      ]);
    });
  });
}
