import type { KafkaCluster, OutgoingRecord } from '@kafka-worker/core';
import { CONNECT_TIMEOUT_MS, clientOptions } from './client-options.ts';

/** Messages that wait for their acknowledgement at once: enough to keep a producer busy, and its queue bounded. */
const MOST_UNACKNOWLEDGED = 5_000;

/** Creates a topic. */
export async function createTopic(kafka: KafkaCluster, topic: string, partitions: number): Promise<void> {
  const admin = kafka.admin(clientOptions);
  try {
    await admin.connect({ timeoutMs: CONNECT_TIMEOUT_MS });
    await admin.createTopic(topic, { partitions });
  } finally {
    await admin.close();
  }
}

/** An order for each record: key `customer-N`, value JSON. Customers take turns, so that each has as many as the others. */
export function* orders(topic: string, records: number, keys: number): Iterable<OutgoingRecord> {
  for (let order = 0; order < records; order++) {
    const customer = `customer-${order % keys}`;
    yield { topic, key: customer, value: JSON.stringify({ order, customer, amount: 100 + (order % 50) }) };
  }
}

/** Produces messages and waits until each is acknowledged. Returns how many went to each partition. */
export async function produce(kafka: KafkaCluster, messages: Iterable<OutgoingRecord>): Promise<Map<number, number>> {
  const producer = kafka.producer(clientOptions);
  const sentTo = new Map<number, number>();
  try {
    await producer.connect({ timeoutMs: CONNECT_TIMEOUT_MS });
    let chunk: ReturnType<typeof producer.send>[] = [];
    const acknowledged = async (): Promise<void> => {
      for (const { partition } of await Promise.all(chunk)) sentTo.set(partition, (sentTo.get(partition) ?? 0) + 1);
      chunk = [];
    };
    for (const message of messages) {
      chunk.push(producer.send(message));
      if (chunk.length === MOST_UNACKNOWLEDGED) await acknowledged();
    }
    await acknowledged();
  } finally {
    await producer.close(CONNECT_TIMEOUT_MS);
  }
  return sentTo;
}
