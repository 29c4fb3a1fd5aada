import { describe, expect, it } from '@jest/globals';
import type { DeliveryContext, KafkaConsumer, NextOffset } from '@kafka-worker/core';
import { atLeastOnce } from './at-least-once.ts';

describe('atLeastOnce', () => {
  it('commits progress to the group and hands on what the commit says', async () => {
    const committed: NextOffset[][] = [];
    const refusal = new Error('refused');
    const consumer = {
      commit: async (offsets: readonly NextOffset[]) => {
        if (offsets.some(({ partition }) => partition === 1)) throw refusal;
        committed.push([...offsets]);
      },
    } as unknown as KafkaConsumer;
    const session = await atLeastOnce().open({ consumer } as DeliveryContext);
    const done = { topic: 't', partition: 0, offset: 5, metadata: 'x' };
    await session.commit({ partitions: [done] });
    expect(committed).toEqual([[done]]);
    await expect(session.commit({ partitions: [{ ...done, partition: 1 }] })).rejects.toBe(refusal);
    await session.close();
  });
});
