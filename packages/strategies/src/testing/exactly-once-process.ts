// A worker in a process of its own, for tests that kill it. Arguments: brokers, topic, output topic, group, and `stops-after-messages` or
// `stops-after-offsets` for one that stops itself, as SIGSTOP does, inside a transaction, when the broker has that much of it. Writes a line when a commit
// has succeeded, and others before it stops and when a commit is refused.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type KafkaCluster, runUntilSignal, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { exactlyOnce, perKey } from '../index.ts';

const [brokers = '', topic = '', output = '', groupId = '', stopsInside] = process.argv.slice(2);
const plain = confluentKafka({ brokers: brokers.split(','), librdkafka: { 'session.timeout.ms': 6_000 } });
/** By then it is at work. */
const STOPPED_IN = 3;
let transactions = 0;
let hasMessages = false;

/** Not in one that only tells where it starts. */
function stopAfter(step: 'messages' | 'offsets'): void {
  if (stopsInside !== `stops-after-${step}` || !hasMessages || ++transactions !== STOPPED_IN) return;
  writeSync(1, 'inside\n');
  process.kill(process.pid, 'SIGSTOP');
}

const stopping: KafkaCluster = {
  ...plain,
  transactionalProducer: (options) => {
    const producer = plain.transactionalProducer(options);
    const begin = producer.begin.bind(producer);
    const sendAll = producer.sendAll.bind(producer);
    const sendOffsets = producer.sendOffsets.bind(producer);
    producer.begin = () => {
      hasMessages = false;
      return begin();
    };
    producer.sendAll = async (messages, timeoutMs) => {
      await sendAll(messages, timeoutMs);
      hasMessages = true;
      stopAfter('messages');
    };
    producer.sendOffsets = async (offsets, consumer, timeoutMs) => {
      await sendOffsets(offsets, consumer, timeoutMs);
      stopAfter('offsets');
    };
    return producer;
  },
};

const worker = new Worker({
  kafka: stopsInside === undefined ? plain : stopping,
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
worker.on('commit-failed', () => void writeSync(1, 'refused\n'));
worker.on('committed', ({ offsets }) => void writeSync(1, `${offsets.length}\n`));
await runUntilSignal(worker);
