// A worker in a process of its own, for tests that kill it. Arguments: brokers, topic, output topic, group. Writes a line when a commit has succeeded.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runUntilSignal, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { exactlyOnce, perKey } from '../index.ts';

const [brokers = '', topic = '', output = '', groupId = ''] = process.argv.slice(2);

const worker = new Worker({
  kafka: confluentKafka({ brokers: brokers.split(','), librdkafka: { 'session.timeout.ms': 6_000 } }),
  groupId,
  topics: topic,
  delivery: exactlyOnce({ transactionalIdPrefix: groupId, transactionTimeoutMs: 3_000 }),
  concurrency: perKey({ concurrency: 20 }),
  commit: { everyMs: 50 },
  // So little at once that a kill finds work that is not done.
  limits: { inFlightRecords: 200 },
  handler: async ({ key, partition, offset, value }, { send }) => {
    send({ topic: output, partition, key, value: `${partition}@${offset}=${String(value)}` });
    await sleep(Math.random() * 40);
  },
});
worker.on('committed', ({ offsets }) => void writeSync(1, `${offsets.length}\n`));
await runUntilSignal(worker);
