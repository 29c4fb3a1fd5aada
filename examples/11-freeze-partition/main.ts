/**
 * 11 freeze partition: partitions at the same time, each in its order. A record that fails freezes its partition, and the others go on.
 *
 * Guarantee: every record is handled at least once, in the order of its partition, and none is passed over: the committed offset of a frozen
 * partition stays at the record that failed, so a restart with a mended handler delivers it first. `worker.unfreeze({ topic, partition })`
 * tries it again without a restart; with `skip: true` it is passed over.
 *
 * Run: npm run example -- 11 --fail 0:17
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { freezePartition, perPartition } from '@kafka-worker/strategies';
import type { ExampleSetup } from '../harness/run-example.ts';

export function createWorker({ kafka, groupId, topics, plugins }: ExampleSetup): Worker {
  return new Worker({
    kafka,
    groupId,
    topics,
    concurrency: perPartition(),
    onFailure: freezePartition(),
    handler: async (record, { log, signal }) => {
      const order = JSON.parse(String(record.value)) as { customer: string; amount: number };
      await sleep(order.amount % 3, undefined, { signal }); // stands for a call to another service
      log.info('order booked', order);
    },
    plugins,
  });
}
