import { expect, it } from '@jest/globals';
import type { StartOffset } from '../kafka-client.ts';
import type { ClusterSuite, GroupProtocol } from './cluster-suite.ts';
import { nextOffsets } from './cluster-under-test.ts';

/** What a lone member reads, and where it stands. Part of the contract of `KafkaCluster`. */
export function describeReading(suite: ClusterSuite, groupProtocol: GroupProtocol): void {
  it('assigns every partition to a lone member, and reports an event before its records', async () => {
    const topic = await suite.clients.topic(3);
    for (const partition of [0, 1, 2]) await suite.clients.sendNumbers(topic, partition, 5);
    const member = await suite.clients.member([topic], { groupProtocol });
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
    const topic = await suite.clients.topic(2);
    await suite.clients.sendNumbers(topic, 0, 7);
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.untilPosition(topic, 0, 7);
    await member.untilPosition(topic, 1, 0);
    expect(member.records).toHaveLength(7);
    await suite.clients.sendNumbers(topic, 1, 1);
    await member.untilPosition(topic, 1, 1);
  });

  it('brings at most as many records as asked for, and only events for 0', async () => {
    const topic = await suite.clients.topic(1);
    await suite.clients.sendNumbers(topic, 0, 50);
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.until('the partition is assigned', () => member.owned.size === 1, 0);
    for (let i = 0; i < 5; i++) await member.poll(0, 20);
    expect(member.records).toEqual([]);
    while (member.records.length < 50) expect((await member.poll(7)).records.length).toBeLessThanOrEqual(7);
    expect(member.offsets()).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('brings nothing of a paused partition until it is resumed, then everything, also of what was buffered', async () => {
    const topic = await suite.clients.topic(2);
    await suite.clients.sendNumbers(topic, 0, 1_000);
    await suite.clients.sendNumbers(topic, 1, 1_000);
    const member = await suite.clients.member([topic], { groupProtocol });
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
    const topic = await suite.clients.topic(1);
    await suite.clients.sendNumbers(topic, 0, 3_000);
    const member = await suite.clients.member([topic], { groupProtocol });
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
    const topic = await suite.clients.topic(2);
    await suite.clients.sendNumbers(topic, 0, 500);
    await suite.clients.sendNumbers(topic, 1, 10);
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.until('some of it came', () => member.offsets(0).length >= 100, 100);
    for (const offset of [5, 490, 0, 250]) {
      await member.consumer.seek([{ topic, partition: 0, offset }]);
      member.records.length = 0;
      await member.until('the rest came', () => member.offsets(0).at(-1) === 499);
      expect(member.offsets(0)).toEqual(Array.from({ length: 500 - offset }, (_, i) => offset + i));
    }
    await member.consumer.seek([{ topic, partition: 0, offset: 500 }]);
    member.records.length = 0;
    await suite.clients.sendNumbers(topic, 0, 1, 500);
    await member.until('the new one came', () => member.offsets(0).length > 0);
    expect(member.offsets(0)).toEqual([500]);
  });

  it('looks up where logs begin and end, and a date', async () => {
    const topic = await suite.clients.topic(2);
    await suite.clients.sendNumbers(topic, 0, 3);
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.untilRecords(3);
    const partitions = [0, 1].map((partition) => ({ topic, partition }));
    const at = (...offsets: number[]): StartOffset[] =>
      partitions.map((partition, i) => ({ ...partition, offset: offsets[i] ?? -1 }));
    expect(await member.consumer.offsetsFor(partitions, 'earliest')).toEqual(at(0, 0));
    expect(await member.consumer.offsetsFor(partitions, 'latest')).toEqual(at(3, 0));
    expect(await member.consumer.offsetsFor(partitions, 'high-watermark')).toEqual(at(3, 0));
    const future = new Date((member.records.at(-1)?.timestamp ?? 0) + 60_000);
    expect(await member.consumer.offsetsFor(partitions, future)).toEqual(at(3, 0));
    if (suite.capabilities.findsDates)
      expect(await member.consumer.offsetsFor(partitions, new Date(1))).toEqual(at(0, 0));
    expect(member.consumer.watermarks({ topic, partition: 0 })).toEqual({ earliest: 0, latest: 3 });
    expect(member.consumer.watermarks({ topic, partition: 99 })).toBeUndefined();
  });

  suite.having(suite.capabilities.writesControlRecords)('positions lie behind control records', async () => {
    const { sendInTransaction } = suite.under;
    if (sendInTransaction === undefined) throw new Error('no way to write in a transaction');
    const topic = await suite.clients.topic(1);
    await sendInTransaction([0, 1, 2].map((i) => ({ topic, partition: 0, value: String(i) })));
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.untilPosition(topic, 0, 4);
    expect(member.offsets()).toEqual([0, 1, 2]);
    expect(nextOffsets(member.records)).toEqual([{ topic, partition: 0, offset: 3 }]);
  });
}
