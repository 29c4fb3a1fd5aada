// A worker in a process of its own, for tests that kill it. Arguments: brokers, topic, group, its static id in the group, reader. Writes a line per
// record before it is handled.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runUntilSignal, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { atMostOnce, perKey } from '../index.ts';

const [brokers = '', topic = '', groupId = '', groupInstanceId = '', reader] = process.argv.slice(2);

await runUntilSignal(
  new Worker({
    kafka: confluentKafka({
      brokers: brokers.split(','),
      reader: reader === 'direct' ? 'direct' : 'librdkafka',
      librdkafka: { 'session.timeout.ms': 3_000, 'heartbeat.interval.ms': 500 },
    }),
    groupId,
    groupInstanceId,
    topics: topic,
    delivery: atMostOnce(),
    concurrency: perKey({ concurrency: 50 }),
    commit: { everyMs: 50 },
    limits: { inFlightRecords: 100 },
    handler: async ({ partition, offset }) => {
      writeSync(1, `${partition}:${offset}\n`);
      await sleep(Math.random() * 10);
    },
  }),
);
