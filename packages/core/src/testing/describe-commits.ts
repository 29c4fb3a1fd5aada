import { expect, it } from '@jest/globals';
import type { TopicPartition } from '../record.ts';
import type { ClusterSuite, GroupProtocol } from './cluster-suite.ts';
import { uniqueName } from './cluster-under-test.ts';

/** Commits and their acknowledgements. Part of the contract of `KafkaCluster`. */
export function describeCommits(suite: ClusterSuite, groupProtocol: GroupProtocol): void {
  it('resolves a commit at its acknowledgement, with metadata, and forgets metadata that is left out', async () => {
    const topic = await suite.clients.topic(2);
    const groupId = uniqueName('group');
    const member = await suite.clients.member([topic], { groupProtocol, groupId });
    await member.untilOwned(2);
    const [first, second] = [0, 1].map((partition) => ({ topic, partition })) as [TopicPartition, TopicPartition];
    await member.consumer.commit([{ ...first, offset: 3, metadata: 'partitions=2 ü' }]);
    const reader = await suite.clients.consumer({ groupProtocol: 'classic', groupId });
    expect(await reader.committed([first, second])).toMatchObject([
      { ...first, offset: 3, metadata: 'partitions=2 ü' },
      { ...second, offset: undefined, metadata: undefined },
    ]);
    await member.consumer.commit([
      { ...first, offset: 4 },
      { ...second, offset: 0 },
    ]);
    expect(await reader.committed([first, second])).toMatchObject([
      { ...first, offset: 4, metadata: undefined },
      { ...second, offset: 0, metadata: undefined },
    ]);
  });

  suite.having(suite.capabilities.keepsLeaderEpochs)(
    "keeps the leader's epoch that is committed with an offset, and forgets one that is left out",
    async () => {
      const topic = await suite.clients.topic(1);
      const member = await suite.clients.member([topic], { groupProtocol });
      await member.untilOwned(1);
      const place = { topic, partition: 0 };
      await member.consumer.commit([{ ...place, offset: 3, leaderEpoch: 2 }]);
      expect(await member.consumer.committed([place])).toMatchObject([{ offset: 3, leaderEpoch: 2 }]);
      await member.consumer.commit([{ ...place, offset: 4 }]);
      expect((await member.consumer.committed([place]))[0]).not.toHaveProperty('leaderEpoch');
    },
  );

  it('resolves commits though nobody polls and more records than any buffer holds are waiting', async () => {
    const topic = await suite.clients.topic(1);
    await suite.clients.sendNumbers(topic, 0, 5_000);
    const member = await suite.clients.member([topic], { groupProtocol });
    await member.untilRecords(1);
    for (let i = 1; i <= 20; i++) await member.consumer.commit([{ topic, partition: 0, offset: i }]);
    await Promise.all([21, 22, 23].map((offset) => member.consumer.commit([{ topic, partition: 0, offset }])));
    expect(await member.consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: 23 }]);
    await member.untilRecords(5_000);
    expect(member.offsets()).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
  });

  it('names the partition whose commit failed; the others stand', async () => {
    const topic = await suite.clients.topic(1);
    const member = await suite.clients.member([topic], { groupProtocol });
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
}
