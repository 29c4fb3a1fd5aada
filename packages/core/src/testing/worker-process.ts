// A worker in a process of its own, for tests that kill it. Arguments: brokers, topic, group. Writes a line per record that it has handled.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { confluentKafka } from '../confluent/index.ts';
import { runUntilSignal } from '../run-until-signal.ts';
import { Worker } from '../worker.ts';

const HANDLER_MS = 2;
const [brokers = '', topic = '', groupId = ''] = process.argv.slice(2);

await runUntilSignal(
  new Worker({
    kafka: confluentKafka({ brokers: brokers.split(','), librdkafka: { 'session.timeout.ms': 6_000 } }),
    groupId,
    topics: topic,
    commit: { everyMs: 100 },
    handler: async ({ partition, offset }) => {
      await sleep(HANDLER_MS);
      // Written at once, so that what a kill leaves unsaid is what was not handled.
      writeSync(1, `${partition}:${offset}\n`);
    },
  }),
);
