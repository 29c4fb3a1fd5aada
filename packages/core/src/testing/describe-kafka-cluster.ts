import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from '../errors.ts';
import type { KafkaConsumer, StartOffset } from '../kafka-client.ts';
import type { NextOffset, OutgoingRecord, TopicPartition } from '../record.ts';
import {
  type ClusterCapabilities,
  type ClusterUnderTest,
  nextOffsets,
  TestClients,
  uniqueName,
} from './cluster-under-test.ts';

/**
 * The contract of `KafkaCluster`, in Jest's terms: one suite for every implementation of the port. It imports Jest, so it is no part
 * of the package's entries.
 */
export function describeKafkaCluster(
  name: string,
  factory: () => Promise<ClusterUnderTest>,
  capabilities: ClusterCapabilities,
): void {
  describe(`Kafka cluster: ${name}`, () => {
    let under: ClusterUnderTest;
    let clients: TestClients;
    beforeAll(async () => {
      under = await factory();
    });
    beforeEach(() => {
      clients = new TestClients(under);
    });
    afterEach(() => clients.close());
    afterAll(async () => {
      await under.dispose();
    });

    const having = (capability: boolean): typeof it.skip => (capability ? it : it.skip);

    describe.each(capabilities.groupProtocols)('group protocol %s', (groupProtocol) => {
      it('assigns every partition to a lone member, and reports an event before its records', async () => {
        const topic = await clients.topic(3);
        for (const partition of [0, 1, 2]) await clients.sendNumbers(topic, partition, 5);
        const member = await clients.member([topic], { groupProtocol });
        let eventsAtFirstRecord = -1;
        await member.until('all records came', () => {
          if (eventsAtFirstRecord < 0 && member.records.length > 0) eventsAtFirstRecord = member.events.length;
          return member.records.length === 15;
        });
        expect(eventsAtFirstRecord).toBeGreaterThan(0);
        expect([...member.owned.keys()].sort()).toEqual([`${topic}/0`, `${topic}/1`, `${topic}/2`]);
        for (const partition of [0, 1, 2]) expect(member.offsets(partition)).toEqual([0, 1, 2, 3, 4]);
      });

      it('reports the position of a partition that is caught up, empty ones too', async () => {
        const topic = await clients.topic(2);
        await clients.sendNumbers(topic, 0, 7);
        const member = await clients.member([topic], { groupProtocol });
        await member.untilPosition(topic, 0, 7);
        await member.untilPosition(topic, 1, 0);
        expect(member.records).toHaveLength(7);
        await clients.sendNumbers(topic, 1, 1);
        await member.untilPosition(topic, 1, 1);
      });

      it('brings at most as many records as asked for, and only events for 0', async () => {
        const topic = await clients.topic(1);
        await clients.sendNumbers(topic, 0, 50);
        const member = await clients.member([topic], { groupProtocol });
        await member.until('the partition is assigned', () => member.owned.size === 1, 0);
        for (let i = 0; i < 5; i++) await member.poll(0, 20);
        expect(member.records).toEqual([]);
        while (member.records.length < 50) expect((await member.poll(7)).records.length).toBeLessThanOrEqual(7);
        expect(member.offsets()).toEqual(Array.from({ length: 50 }, (_, i) => i));
      });

      it('resolves a commit at its acknowledgement, with metadata, and forgets metadata that is left out', async () => {
        const topic = await clients.topic(2);
        const groupId = uniqueName('group');
        const member = await clients.member([topic], { groupProtocol, groupId });
        await member.untilOwned(2);
        const [first, second] = [0, 1].map((partition) => ({ topic, partition })) as [TopicPartition, TopicPartition];
        await member.consumer.commit([{ ...first, offset: 3, metadata: 'partitions=2 ü' }]);
        const reader = await clients.consumer({ groupProtocol: 'classic', groupId });
        expect(await reader.committed([first, second])).toEqual([
          { ...first, offset: 3, metadata: 'partitions=2 ü' },
          { ...second, offset: undefined, metadata: undefined },
        ]);
        await member.consumer.commit([
          { ...first, offset: 4 },
          { ...second, offset: 0 },
        ]);
        expect(await reader.committed([first, second])).toEqual([
          { ...first, offset: 4, metadata: undefined },
          { ...second, offset: 0, metadata: undefined },
        ]);
      });

      it('resolves commits though nobody polls and more records than any buffer holds are waiting', async () => {
        const topic = await clients.topic(1);
        await clients.sendNumbers(topic, 0, 5_000);
        const member = await clients.member([topic], { groupProtocol });
        await member.untilRecords(1);
        for (let i = 1; i <= 20; i++) await member.consumer.commit([{ topic, partition: 0, offset: i }]);
        await Promise.all([21, 22, 23].map((offset) => member.consumer.commit([{ topic, partition: 0, offset }])));
        expect(await member.consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: 23 }]);
        await member.untilRecords(5_000);
        expect(member.offsets()).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
      });

      having(capabilities.commitsPartly)('names the partition whose commit failed; the others stand', async () => {
        const topic = await clients.topic(1);
        const member = await clients.member([topic], { groupProtocol });
        await member.untilOwned(1);
        const commit = member.consumer.commit([
          { topic, partition: 0, offset: 5 },
          { topic, partition: 77, offset: 6 },
        ]);
        await expect(commit).rejects.toMatchObject({
          name: 'CommitError',
          failures: [{ topic, partition: 77, offset: 6, kafkaCode: 3 }],
        });
        expect(await member.consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: 5 }]);
      });

      it('brings nothing of a paused partition until it is resumed, then everything, also of what was buffered', async () => {
        const topic = await clients.topic(2);
        await clients.sendNumbers(topic, 0, 1_000);
        await clients.sendNumbers(topic, 1, 1_000);
        const member = await clients.member([topic], { groupProtocol });
        await member.until('the first records came', () => member.records.length > 0, 10);
        member.consumer.pause([{ topic, partition: 0 }]);
        const before = member.offsets(0).length;
        await member.until('the other is read', () => member.offsets(1).length === 1_000);
        expect(member.offsets(0)).toHaveLength(before);
        member.consumer.resume([{ topic, partition: 0 }]);
        await member.untilPosition(topic, 0, 1_000);
        expect(member.offsets(0)).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
      });

      it('goes on after short pauses with neither a gap nor a repetition', async () => {
        const topic = await clients.topic(1);
        await clients.sendNumbers(topic, 0, 3_000);
        const member = await clients.member([topic], { groupProtocol });
        const all = [{ topic, partition: 0 }];
        await member.untilRecords(1);
        while (member.records.length < 3_000) {
          member.consumer.pause(all);
          expect((await member.poll(500, 5)).records).toEqual([]);
          member.consumer.resume(all);
          await member.poll(100, 2_000);
        }
        expect(member.offsets()).toEqual(Array.from({ length: 3_000 }, (_, i) => i));
      });

      it('seeks back and forth: the next record is the first at or behind that offset', async () => {
        const topic = await clients.topic(2);
        await clients.sendNumbers(topic, 0, 500);
        await clients.sendNumbers(topic, 1, 10);
        const member = await clients.member([topic], { groupProtocol });
        await member.until('some of it came', () => member.offsets(0).length >= 100, 100);
        for (const offset of [5, 490, 0, 250]) {
          await member.consumer.seek([{ topic, partition: 0, offset }]);
          member.records.length = 0;
          await member.until('the rest came', () => member.offsets(0).at(-1) === 499);
          expect(member.offsets(0)).toEqual(Array.from({ length: 500 - offset }, (_, i) => offset + i));
        }
        await member.consumer.seek([{ topic, partition: 0, offset: 500 }]);
        member.records.length = 0;
        await clients.sendNumbers(topic, 0, 1, 500);
        await member.until('the new one came', () => member.offsets(0).length > 0);
        expect(member.offsets(0)).toEqual([500]);
      });

      it('shares partitions: the one that joins starts where the other has committed', async () => {
        const topic = await clients.topic(4);
        for (const partition of [0, 1, 2, 3]) await clients.sendNumbers(topic, partition, 20);
        const groupId = uniqueName('group');
        const first = await clients.member([topic], { groupProtocol, groupId });
        await first.untilRecords(80);
        // What is finished when partitions go: up to 11 of each.
        first.beforeRelease = (partitions) =>
          first.consumer
            .commit(partitions.map((partition) => ({ ...partition, offset: 11 })))
            .catch((error: unknown) => {
              // The mock cluster refuses commits once another member is joining.
              if (!(error as { retriable?: boolean }).retriable) throw error;
            });
        await first.consumer.commit([0, 1, 2, 3].map((partition) => ({ topic, partition, offset: 11 })));
        const second = await clients.member([topic], { groupProtocol, groupId });
        while (second.owned.size !== 2 || first.owned.size !== 2) await Promise.all([first.poll(), second.poll()]);
        await second.untilRecords(18);
        for (const { partition } of second.owned.values()) expect(second.offsets(partition)[0]).toBe(11);
        const taken = first.events.filter((event) => event.type === 'revoked').flatMap((event) => event.partitions);
        expect(taken).toHaveLength(capabilities.rebalances === 'cooperative' ? 2 : 4);
        expect([...first.owned.keys(), ...second.owned.keys()].sort()).toEqual(
          [0, 1, 2, 3].map((p) => `${topic}/${p}`),
        );

        await second.consumer.close();
        await first.untilOwned(4);
      });

      it('brings no record of a partition once its revocation was reported', async () => {
        const topic = await clients.topic(2);
        const groupId = uniqueName('group');
        const first = await clients.member([topic], { groupProtocol, groupId });
        await first.untilOwned(2);
        const gone = new Set<number>();
        let late = 0;
        first.beforeRelease = async (partitions) => {
          for (const { partition } of partitions) gone.add(partition);
        };
        const second = await clients.member([topic], { groupProtocol, groupId });
        let produced = 0;
        while (second.owned.size !== 1 || first.owned.size !== 1) {
          await clients.sendNumbers(topic, 0, 20, produced);
          await clients.sendNumbers(topic, 1, 20, produced);
          produced += 20;
          const [poll] = await Promise.all([first.poll(500, 20), second.poll(500, 20)]);
          for (const { partitions, type } of poll.events)
            if (type === 'assigned') for (const p of partitions) gone.delete(p.partition);
          late += poll.records.filter(({ partition }) => gone.has(partition)).length;
        }
        expect(late).toBe(0);
      });

      it('hands the partitions of a closed member to the others', async () => {
        const topic = await clients.topic(2);
        const groupId = uniqueName('group');
        const first = await clients.member([topic], { groupProtocol, groupId });
        await first.untilOwned(2);
        await first.consumer.close();
        const second = await clients.member([topic], { groupProtocol, groupId });
        await second.untilOwned(2);
      });

      it('ends a poll when it is woken or closed, and closing is idempotent and quick', async () => {
        const topic = await clients.topic(1);
        const member = await clients.member([topic], { groupProtocol });
        await member.untilPosition(topic, 0, 0);
        const woken = member.consumer.poll(500, 60_000);
        member.consumer.wake();
        expect(await woken).toEqual({ events: [], records: [], positions: [], errors: [] });
        const cut = member.consumer.poll(500, 60_000);
        const started = Date.now();
        await Promise.all([member.consumer.close(), member.consumer.close()]);
        await cut;
        await member.consumer.close();
        expect(Date.now() - started).toBeLessThan(3_000);
      });

      it('closes with an assignment or a revocation unanswered', async () => {
        const topic = await clients.topic(2);
        const groupId = uniqueName('group');
        const consumer = await clients.consumer({ groupProtocol, groupId });
        consumer.subscribe([topic]);
        while ((await consumer.poll(10, 500)).events.length === 0);
        const started = Date.now();
        await consumer.close();
        expect(Date.now() - started).toBeLessThan(6_000);
        const next = await clients.member([topic], { groupProtocol, groupId });
        await next.untilOwned(2);
      });

      it('looks up where logs begin and end, and a date', async () => {
        const topic = await clients.topic(2);
        await clients.sendNumbers(topic, 0, 3);
        const member = await clients.member([topic], { groupProtocol });
        await member.untilRecords(3);
        const partitions = [0, 1].map((partition) => ({ topic, partition }));
        const at = (...offsets: number[]): StartOffset[] =>
          partitions.map((partition, i) => ({ ...partition, offset: offsets[i] ?? -1 }));
        expect(await member.consumer.offsetsFor(partitions, 'earliest')).toEqual(at(0, 0));
        expect(await member.consumer.offsetsFor(partitions, 'latest')).toEqual(at(3, 0));
        const future = new Date((member.records.at(-1)?.timestamp ?? 0) + 60_000);
        expect(await member.consumer.offsetsFor(partitions, future)).toEqual(at(3, 0));
        if (capabilities.findsDates)
          expect(await member.consumer.offsetsFor(partitions, new Date(1))).toEqual(at(0, 0));
        expect(member.consumer.watermarks({ topic, partition: 0 })).toEqual({ earliest: 0, latest: 3 });
        expect(member.consumer.watermarks({ topic, partition: 99 })).toBeUndefined();
      });
    });

    const groupProtocol = capabilities.groupProtocols[0] ?? 'classic';

    it('counts partitions, of named topics and of all, and leaves unknown and internal ones out', async () => {
      const topic = await clients.topic(3);
      const consumer = await clients.consumer({ groupProtocol });
      const unknown = uniqueName('unknown');
      expect([...(await consumer.partitionCounts([topic, unknown]))]).toEqual([[topic, 3]]);
      const all = await consumer.partitionCounts();
      expect(all.get(topic)).toBe(3);
      expect(all.has(unknown)).toBe(false);
      expect(all.has('__consumer_offsets')).toBe(false);
    });

    it('brings keys, values, headers and timestamps as they were sent: null, empty, repeated names', async () => {
      const topic = await clients.topic(1);
      const bytes = Buffer.from([0, 255, 1]);
      const before = Date.now();
      await clients.send([
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
      const member = await clients.member([topic], { groupProtocol });
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
      if (capabilities.readsNullHeaders) expect(read).toBeNull();
      else expect(read?.length ?? 0).toBe(0);
      const copy = lists?.copy();
      expect(copy?.toJSON()).toEqual(lists?.toJSON());
      expect(plain?.timestamp ?? 0).toBeGreaterThan(before - 3_600_000);
      expect(lists?.sizeBytes ?? 0).toBeGreaterThan(6);
    });

    it('sends in order, and says where each message went', async () => {
      const topic = await clients.topic(2);
      const sent = await clients.send(
        Array.from({ length: 200 }, (_, i) => ({ topic, partition: i % 2, value: String(i) })),
      );
      expect(sent.map(({ partition, offset }) => [partition, offset])).toEqual(
        Array.from({ length: 200 }, (_, i) => [i % 2, Math.floor(i / 2)]),
      );
      const keyed = await clients.send(['a', 'b', 'a', 'b', 'a'].map((key) => ({ topic, key, value: key })));
      expect(keyed[0]?.partition).toBe(keyed[2]?.partition);
      expect(keyed[0]?.partition).toBe(keyed[4]?.partition);
      expect(keyed[1]?.partition).toBe(keyed[3]?.partition);
    });

    it('refuses messages that can never be sent, at once', async () => {
      const producer = await clients.producer();
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

    having(capabilities.limitsMessageSize)('rejects a message that is too large', async () => {
      const topic = await clients.topic(1);
      const producer = await clients.producer();
      const sending = producer.send({ topic, value: Buffer.alloc(3_000_000) });
      await expect(sending).rejects.toMatchObject({ name: 'ProduceError', topic, retriable: false });
    });

    it('closes a producer with everything sent, and refuses after that', async () => {
      const topic = await clients.topic(1);
      const producer = under.cluster.producer(clients.options);
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

    it('refuses partitions, offsets and metadata that would crash or mislead a native client', async () => {
      const topic = await clients.topic(1);
      const member = await clients.member([topic], { groupProtocol });
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
      expect(() => consumer.subscribe([''])).toThrow(expect.objectContaining(invalid));
      expect(await consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: undefined }]);
    });

    it('gives a ConnectionError that names the brokers when none answers in time, and can be closed then', async () => {
      const nowhere = under.unreachable;
      if (nowhere === undefined) return;
      const consumer = nowhere.consumer({ groupId: 'g', groupProtocol, ...clients.options });
      await expect(consumer.connect({ timeoutMs: 400 })).rejects.toMatchObject({
        name: 'ConnectionError',
        brokers: nowhere.brokers,
        message: expect.stringContaining(nowhere.brokers[0] ?? '?'),
      });
      await consumer.close();
      const producer = nowhere.producer(clients.options);
      await expect(producer.connect({ timeoutMs: 400 })).rejects.toMatchObject({ name: 'ConnectionError' });
      await producer.close(1_000);
      const aborted = nowhere.consumer({ groupId: 'g', groupProtocol, ...clients.options });
      const signal = AbortSignal.timeout(100);
      const started = Date.now();
      await expect(aborted.connect({ timeoutMs: 60_000, signal })).rejects.toMatchObject({ name: 'ConnectionError' });
      expect(Date.now() - started).toBeLessThan(5_000);
      await aborted.close();
    });

    having(capabilities.keepsStaticMembers === true)(
      'keeps the partitions of a static member that closes until it is back',
      async () => {
        const topic = await clients.topic(1);
        const groupId = uniqueName('group');
        const first = await clients.member([topic], { groupProtocol, groupId, groupInstanceId: 'one' });
        await first.untilOwned(1);
        await first.consumer.close();
        const other = await clients.member([topic], { groupProtocol, groupId });
        await other.receivedWithin(300);
        const again = await clients.member([topic], { groupProtocol, groupId, groupInstanceId: 'one' });
        while (again.owned.size === 0) await Promise.all([again.poll(10, 100), other.poll(10, 100)]);
        expect(other.owned.size).toBe(0);
      },
    );

    it('refuses calls out of order instead of making them', async () => {
      const consumer: KafkaConsumer = under.cluster.consumer({ groupId: 'g', groupProtocol, ...clients.options });
      const illegal = { code: 'ILLEGAL_STATE' };
      expect(() => consumer.subscribe(['t'])).toThrow(expect.objectContaining(illegal));
      await expect(consumer.commit([{ topic: 't', partition: 0, offset: 1 }])).rejects.toMatchObject(illegal);
      await expect(consumer.committed([{ topic: 't', partition: 0 }])).rejects.toMatchObject(illegal);
      await consumer.close();
      await expect(consumer.poll(1, 0)).rejects.toMatchObject(illegal);
    });

    it('positions lie behind control records', async () => {
      if (under.sendInTransaction === undefined) return;
      const topic = await clients.topic(1);
      await under.sendInTransaction([0, 1, 2].map((i) => ({ topic, partition: 0, value: String(i) })));
      const member = await clients.member([topic], { groupProtocol });
      await member.untilPosition(topic, 0, 4);
      expect(member.offsets()).toEqual([0, 1, 2]);
      expect(nextOffsets(member.records)).toEqual([{ topic, partition: 0, offset: 3 }]);
    });
  });
}
