// A worker that writes from topic to topic, in a process of its own. Argument: a KafkaWorkerOptions as JSON. Says what it does in lines, and ends when
// its starter does.

import { setTimeout as sleep } from 'node:timers/promises';
import { type KafkaCluster, runUntilSignal, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { atLeastOnce, deadLetter, exactlyOnce, perKey } from '@kafka-worker/strategies';
import { NumberedRecords } from '../faults/numbered-records.ts';
import { sessionProperties } from '../faults/process-faults.ts';
import { say, serveStarter } from '../faults/starter.ts';
import { isUnwritable, OUTPUT_LIMIT_BYTES, TRANSACTION_TIMEOUT_MS } from './kafka-world.ts';

/** What a worker process is told. */
export interface KafkaWorkerOptions {
  readonly brokers: string;
  /** Who fetches its records. */
  readonly reader: 'direct' | 'librdkafka';
  readonly topic: string;
  readonly outputTopic: string;
  readonly deadLetterTopic: string;
  readonly groupId: string;
  readonly name: string;
  /** The other one is what the proof has to notice. */
  readonly delivery: 'exactlyOnce' | 'atLeastOnce';
}

const options = JSON.parse(process.argv[2] ?? '') as KafkaWorkerOptions;
const { groupId, outputTopic, deadLetterTopic } = options;

const plain = confluentKafka({
  brokers: options.brokers.split(','),
  reader: options.reader,
  librdkafka: sessionProperties,
});
const kafka: KafkaCluster = {
  ...plain,
  transactionalProducer: (producer) => {
    // So that somebody else can shut it out.
    say(`transactional id ${producer.transactionalId}`);
    return plain.transactionalProducer(producer);
  },
};

const worker = new Worker({
  ...{ kafka, groupId, topics: options.topic, name: options.name, connectTimeoutMs: 60_000 },
  concurrency: perKey({ concurrency: 8 }),
  delivery:
    options.delivery === 'exactlyOnce'
      ? exactlyOnce({ transactionalIdPrefix: groupId, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS })
      : atLeastOnce(),
  onFailure: deadLetter({ topic: deadLetterTopic, brake: false }),
  // So little at once that a kill finds work that is not done.
  limits: { inFlightRecords: 400 },
  handler: async ({ key, value }, { send }) => {
    const isRefused = isUnwritable(NumberedRecords.numberOf(key, value));
    send({ topic: outputTopic, key, value: isRefused ? Buffer.alloc(2 * OUTPUT_LIMIT_BYTES, '1') : value });
    await sleep(Math.random() * 4);
  },
});
serveStarter(worker);
// The broker has refused a message, and with it the transaction.
worker.on('failed', () => say('aborted'));
await runUntilSignal(worker);
