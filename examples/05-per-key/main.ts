/**
 * 05 per key: keys at the same time, order kept inside each. A record that fails is logged and passed over.
 *
 * Guarantee: every record is handled at least once, in the order of its key; at most one record of a key, and 10 keys, at a time.
 * A slow record holds up its own key, and no other.
 *
 * Run: npm run example -- 05
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { perKey, skip } from '@kafka-worker/strategies';
import type { ExampleSetup } from '../harness/run-example.ts';

export function createWorker({ kafka, groupId, topics, plugins }: ExampleSetup): Worker {
  return new Worker({
    kafka,
    groupId,
    topics,
    concurrency: perKey({ concurrency: 10 }),
    onFailure: skip({ log: true }),
    handler: async (record, { log, signal }) => {
      const order = JSON.parse(String(record.value)) as { customer: string; amount: number };
      await sleep(order.amount % 7, undefined, { signal }); // stands for a call to another service
      log.info('order charged', order);
    },
    plugins,
  });
}
