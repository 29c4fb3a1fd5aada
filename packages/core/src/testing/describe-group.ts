import { expect, it } from '@jest/globals';
import type { ClusterSuite, GroupProtocol } from './cluster-suite.ts';
import { uniqueName } from './cluster-under-test.ts';

/** Members of one group, joining, leaving and closing. Part of the contract of `KafkaCluster`. */
export function describeGroup(suite: ClusterSuite, groupProtocol: GroupProtocol): void {
  it('shares partitions: the one that joins starts where the other has committed', async () => {
    const topic = await suite.clients.topic(4);
    for (const partition of [0, 1, 2, 3]) await suite.clients.sendNumbers(topic, partition, 20);
    const groupId = uniqueName('group');
    const first = await suite.clients.member([topic], { groupProtocol, groupId });
    await first.untilRecords(80);
    // What is finished when partitions go: up to 11 of each.
    first.beforeRelease = (partitions) =>
      first.consumer.commit(partitions.map((partition) => ({ ...partition, offset: 11 }))).catch((error: unknown) => {
        // The mock cluster refuses commits once another member is joining.
        if (!(error as { retriable?: boolean }).retriable) throw error;
      });
    await first.consumer.commit([0, 1, 2, 3].map((partition) => ({ topic, partition, offset: 11 })));
    const second = await suite.clients.member([topic], { groupProtocol, groupId });
    while (second.owned.size !== 2 || first.owned.size !== 2) await Promise.all([first.poll(), second.poll()]);
    await second.untilRecords(18);
    for (const { partition } of second.owned.values()) expect(second.offsets(partition)[0]).toBe(11);
    const taken = first.events.filter((event) => event.type === 'revoked').flatMap((event) => event.partitions);
    expect(taken).toHaveLength(suite.capabilities.rebalances === 'cooperative' ? 2 : 4);
    expect([...first.owned.keys(), ...second.owned.keys()].sort()).toEqual([0, 1, 2, 3].map((p) => `${topic}/${p}`));

    await second.consumer.close();
    await first.untilOwned(4);
  });

  it('is a member when the group has taken it in, also when no partition is left for it, until it is closed', async () => {
    const topic = await suite.clients.topic(1);
    const groupId = uniqueName('group');
    const outsider = await suite.clients.consumer({ groupProtocol, groupId });
    expect(outsider.isMember).toBe(false);
    const first = await suite.clients.member([topic], { groupProtocol, groupId });
    await first.untilOwned(1);
    expect(first.consumer.isMember).toBe(true);
    const second = await suite.clients.member([topic], { groupProtocol, groupId });
    while (!second.consumer.isMember) await Promise.all([first.poll(), second.poll()]);
    expect(first.owned.size + second.owned.size).toBeLessThanOrEqual(1);
    await second.consumer.close();
    expect(second.consumer.isMember).toBe(false);
  });

  it('brings no record of a partition once its revocation was reported', async () => {
    const topic = await suite.clients.topic(2);
    const groupId = uniqueName('group');
    const first = await suite.clients.member([topic], { groupProtocol, groupId });
    await first.untilOwned(2);
    const gone = new Set<number>();
    let late = 0;
    first.beforeRelease = async (partitions) => {
      for (const { partition } of partitions) gone.add(partition);
    };
    const second = await suite.clients.member([topic], { groupProtocol, groupId });
    let produced = 0;
    while (second.owned.size !== 1 || first.owned.size !== 1) {
      await suite.clients.sendNumbers(topic, 0, 20, produced);
      await suite.clients.sendNumbers(topic, 1, 20, produced);
      produced += 20;
      const [poll] = await Promise.all([first.poll(500, 20), second.poll(500, 20)]);
      for (const { partitions, type } of poll.events)
        if (type === 'assigned') for (const p of partitions) gone.delete(p.partition);
      late += poll.records.filter(({ partition }) => gone.has(partition)).length;
    }
    expect(late).toBe(0);
  });

  suite.having(suite.capabilities.readsOnWhileRevoking === true)(
    'reads on in the partitions that it keeps while a revocation is unanswered, and leaves those alone that are paused',
    async () => {
      const topic = await suite.clients.topic(4);
      const groupId = uniqueName('group');
      const first = await suite.clients.member([topic], { groupProtocol, groupId });
      await first.untilOwned(4);
      for (const partition of [0, 1, 2, 3]) await suite.clients.sendNumbers(topic, partition, 10);
      await first.untilRecords(40);
      const whileOpen: number[][] = [];
      let kept: number[] = [];
      first.beforeRelease = async (going) => {
        const leaving = new Set(going.map(({ partition }) => partition));
        kept = [0, 1, 2, 3].filter((partition) => !leaving.has(partition));
        const [paused = -1, open = -1] = kept;
        first.consumer.pause([{ topic, partition: paused }]);
        for (const partition of kept) await suite.clients.sendNumbers(topic, partition, 20, 10);
        await first.until('those of a kept partition came', () => first.offsets(open).length === 30);
        await first.receivedWithin(300);
        whileOpen.push(first.offsets(paused), first.offsets(open));
      };
      const second = await suite.clients.member([topic], { groupProtocol, groupId });
      while (second.owned.size !== 2 || first.owned.size !== 2) await Promise.all([first.poll(), second.poll()]);
      const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
      expect(whileOpen).toEqual([numbers(10), numbers(30)]);

      first.consumer.resume(kept.map((partition) => ({ topic, partition })));
      await first.until('all of both came', () => kept.every((partition) => first.offsets(partition).length >= 30));
      await first.receivedWithin(300);
      expect(kept.map((partition) => first.offsets(partition))).toEqual([numbers(30), numbers(30)]);
      expect(first.errors).toEqual([]);
    },
  );

  it('hands the partitions of a closed member to the others', async () => {
    const topic = await suite.clients.topic(2);
    const groupId = uniqueName('group');
    const first = await suite.clients.member([topic], { groupProtocol, groupId });
    await first.untilOwned(2);
    await first.consumer.close();
    const second = await suite.clients.member([topic], { groupProtocol, groupId });
    await second.untilOwned(2);
  });

  it('ends a poll when it is woken or closed, and closing is idempotent and quick', async () => {
    const topic = await suite.clients.topic(1);
    const member = await suite.clients.member([topic], { groupProtocol });
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
    const topic = await suite.clients.topic(2);
    const groupId = uniqueName('group');
    const consumer = await suite.clients.consumer({ groupProtocol, groupId });
    consumer.subscribe([topic]);
    while ((await consumer.poll(10, 500)).events.length === 0);
    const started = Date.now();
    await consumer.close();
    expect(Date.now() - started).toBeLessThan(6_000);
    const next = await suite.clients.member([topic], { groupProtocol, groupId });
    await next.untilOwned(2);
  });

  suite.having(suite.capabilities.keepsStaticMembers === true)(
    'keeps the partitions of a static member that closes until it is back',
    async () => {
      const topic = await suite.clients.topic(1);
      const groupId = uniqueName('group');
      const first = await suite.clients.member([topic], { groupProtocol, groupId, groupInstanceId: 'one' });
      await first.untilOwned(1);
      await first.consumer.close();
      const other = await suite.clients.member([topic], { groupProtocol, groupId });
      await other.receivedWithin(300);
      const again = await suite.clients.member([topic], { groupProtocol, groupId, groupInstanceId: 'one' });
      while (again.owned.size === 0) await Promise.all([again.poll(10, 100), other.poll(10, 100)]);
      expect(other.owned.size).toBe(0);
    },
  );
}
