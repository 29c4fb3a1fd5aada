/**
 * 01 simple worker: polls, handles one record after the other, commits. A record that fails is logged and passed over.
 *
 * Guarantee: every record is handled at least once, in the order of its partition; nothing runs at the same time.
 * An offset is committed only when its record, and every one before it in its partition, is finished.
 *
 * Run: npm run example -- 01
 */
import { Worker } from '@kafka-worker/core';
import { serial, skip } from '@kafka-worker/strategies';
import type { ExampleSetup } from '../harness/run-example.ts';

export function createWorker({ kafka, groupId, topics, plugins }: ExampleSetup): Worker {
  return new Worker({
    kafka,
    groupId,
    topics,
    concurrency: serial(),
    onFailure: skip({ log: true }),
    handler: async (record, { log }) => {
      const order = JSON.parse(String(record.value)) as { customer: string; amount: number };
      log.info('order received', order);
    },
    plugins,
  });
}
