/**
 * 04 parallel: everything at once, up to a limit, in no order. A record that fails is logged and passed over.
 *
 * Guarantee: every record is handled at least once, at most 20 at a time. Offsets are committed in order all the same:
 * never beyond a record that is not finished.
 *
 * Run: npm run example -- 04
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { parallel, skip } from '@kafka-worker/strategies';
import type { ExampleSetup } from '../harness/run-example.ts';

export function createWorker({ kafka, groupId, topics, plugins }: ExampleSetup): Worker {
  return new Worker({
    kafka,
    groupId,
    topics,
    concurrency: parallel({ concurrency: 20 }),
    onFailure: skip({ log: true }),
    handler: async (record, { log, signal }) => {
      const order = JSON.parse(String(record.value)) as { customer: string; amount: number };
      await sleep(order.amount % 7, undefined, { signal }); // stands for a call to another service
      log.info('order charged', order);
    },
    plugins,
  });
}
