import type { KafkaCluster, OutgoingRecord } from '@kafka-worker/core';
import { CONNECT_TIMEOUT_MS, clientOptions } from './client-options.ts';

/** Twice as many messages wait for their acknowledgement at once: enough to keep a producer busy, and its queue bounded. */
const CHUNK = 20_000;

/** What an example finds in a topic that it is not given: as many records for each key as for any other. */
export const seeded = { partitions: 4, records: 400, keys: 20 };

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

/**
 * An order for each record: key `customer-N`, value JSON. Customers take turns, so that each has as many as the others, and buy from each other, which
 * is another one each time.
 */
export function* orders(topic: string, records: number, keys: number): Iterable<OutgoingRecord> {
  for (let order = 0; order < records; order++) {
    const customer = `customer-${order % keys}`;
    const seller = `customer-${(order + 1 + Math.floor(order / keys)) % keys}`;
    yield { topic, key: customer, value: JSON.stringify({ order, customer, seller, amount: 100 + (order % 50) }) };
  }
}

/** Produces messages and waits until each is acknowledged. Returns how many went to each partition. */
export async function produce(kafka: KafkaCluster, messages: Iterable<OutgoingRecord>): Promise<Map<number, number>> {
  const producer = kafka.producer(clientOptions);
  const sentTo = new Map<number, number>();
  try {
    await producer.connect({ timeoutMs: CONNECT_TIMEOUT_MS });
    let chunk: ReturnType<typeof producer.send>[] = [];
    let chunkBefore: typeof chunk = [];
    const acknowledged = async (): Promise<void> => {
      for (const { partition } of await Promise.all(chunkBefore))
        sentTo.set(partition, (sentTo.get(partition) ?? 0) + 1);
      chunkBefore = chunk;
      chunk = [];
    };
    for (const message of messages) {
      const sent = producer.send(message);
      // Awaited later; until then a rejection must not count as unhandled.
      sent.catch(() => {});
      chunk.push(sent);
      // Waits for the chunk before, so that the broker works on this one meanwhile.
      if (chunk.length === CHUNK) await acknowledged();
    }
    await acknowledged();
    await acknowledged();
  } finally {
    await producer.close(CONNECT_TIMEOUT_MS);
  }
  return sentTo;
}
