import type { KafkaCluster } from '@kafka-worker/core';
import { type ConfluentKafkaOptions, confluentKafka } from '@kafka-worker/core/confluent';
import { embeddedKafka } from '@kafka-worker/core/testing';

/** The least that brokers allow by default: one that was killed is soon known to be gone, so that the next run need not wait for long. */
const SESSION_TIMEOUT_MS = 6_000;

/** The cluster that an example runs on. */
export interface ExampleCluster {
  readonly kafka: KafkaCluster;
  /** For people and the summary: `embedded`, or the brokers. */
  readonly name: string;
  close(): Promise<void>;
}

/** `direct` or `librdkafka`, to try an example with that one; the worker's own choice without it. */
const READER_VARIABLE = 'KAFKA_READER';

/** The cluster that `--kafka` names, or one in this process. */
export async function openExampleCluster(brokers: string | undefined): Promise<ExampleCluster> {
  if (brokers !== undefined) {
    const reader = process.env[READER_VARIABLE] as ConfluentKafkaOptions['reader'];
    const kafka = confluentKafka({
      ...{ brokers: brokers.split(','), ...(reader === undefined ? {} : { reader }) },
      librdkafka: { 'session.timeout.ms': SESSION_TIMEOUT_MS },
    });
    return { kafka, name: brokers, close: async () => {} };
  }
  const kafka = await embeddedKafka();
  return { kafka, name: 'embedded', close: async () => kafka[Symbol.asyncDispose]() };
}
