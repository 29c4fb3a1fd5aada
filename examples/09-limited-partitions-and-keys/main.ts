/**
 * 09 limited partitions and keys: one partition at a time, three keys at once inside it. A record that fails is logged and passed over.
 *
 * Guarantee: every record is handled at least once, in the order of its key; never two partitions at a time, and at most 3 keys.
 * A partition keeps its place for a turn (1,000 records or 1 s), then yields to one that waits.
 *
 * Run: npm run example -- 09
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { perKey, perPartition, skip } from '@kafka-worker/strategies';
import type { ExampleSetup } from '../harness/run-example.ts';

export function createWorker({ kafka, groupId, topics, plugins }: ExampleSetup): Worker {
  return new Worker({
    kafka,
    groupId,
    topics,
    concurrency: perPartition({ concurrency: 1, within: perKey({ concurrency: 3 }) }),
    onFailure: skip({ log: true }),
    handler: async (record, { log, signal }) => {
      const order = JSON.parse(String(record.value)) as { customer: string; amount: number };
      await sleep(order.amount % 7, undefined, { signal }); // stands for a call to another service
      log.info('order charged', order);
    },
    plugins,
  });
}
