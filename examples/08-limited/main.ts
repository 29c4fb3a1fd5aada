/**
 * 08 limited: at most 2 records at once, of whatever the strategy inside would run. A record that fails is logged and passed over.
 *
 * Guarantee: every record is handled at least once, at most 2 at a time in the whole worker. The order is that of the strategy inside,
 * here none; limited(2, perKey()) would keep the order of each key.
 *
 * Run: npm run example -- 08
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { limited, parallel, skip } from '@kafka-worker/strategies';
import type { ExampleSetup } from '../harness/run-example.ts';

export function createWorker({ kafka, groupId, topics, plugins }: ExampleSetup): Worker {
  return new Worker({
    kafka,
    groupId,
    topics,
    concurrency: limited(2, parallel()),
    onFailure: skip({ log: true }),
    handler: async (record, { log, signal }) => {
      const order = JSON.parse(String(record.value)) as { customer: string; amount: number };
      await sleep(order.amount % 7, undefined, { signal }); // stands for a call to another service
      log.info('order charged', order);
    },
    plugins,
  });
}
