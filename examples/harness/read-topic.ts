import { randomUUID } from 'node:crypto';
import type { KafkaCluster, KafkaConsumer, KafkaRecord } from '@kafka-worker/core';
import { CONNECT_TIMEOUT_MS, clientOptions } from './client-options.ts';

/** A transaction whose writer was killed hides what is behind it until the broker gives it up. */
const READ_TIMEOUT_MS = 60_000;

/** Every record of a topic that is there now, as a reader with `read_committed` sees it, partition by partition. Leaves no trace in any group. */
export async function readTopic(kafka: KafkaCluster, topic: string): Promise<readonly KafkaRecord[]> {
  const consumer = kafka.consumer({ groupId: `read-${randomUUID()}`, groupProtocol: 'classic', ...clientOptions });
  try {
    await consumer.connect({ timeoutMs: CONNECT_TIMEOUT_MS });
    const count = (await consumer.partitionCounts([topic])).get(topic) ?? 0;
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }));
    // Behind what is in open transactions: what comes after them is to be read too.
    const ends = await consumer.offsetsFor(partitions, 'high-watermark');
    const open = new Map(ends.flatMap(({ partition, offset }) => (offset > 0 ? [[partition, offset] as const] : [])));
    return open.size === 0 ? [] : await readUntil(consumer, topic, open);
  } finally {
    await consumer.close();
  }
}

/** `open` has where each partition ends that is not read yet. */
async function readUntil(consumer: KafkaConsumer, topic: string, open: Map<number, number>): Promise<KafkaRecord[]> {
  const records: KafkaRecord[] = [];
  const ends = new Map(open);
  const deadlineMs = performance.now() + READ_TIMEOUT_MS;
  consumer.subscribe([topic]);
  while (open.size > 0) {
    if (performance.now() > deadlineMs)
      throw new Error(
        `${topic} was not read to its end in ${READ_TIMEOUT_MS / 1_000} s: partitions ${[...open.keys()].join(', ')}`,
      );
    const poll = await consumer.poll(1_000, 200);
    for (const { type, partitions } of poll.events) {
      if (type === 'assigned') consumer.assign(partitions.map((one) => ({ ...one, offset: 0 })));
      else consumer.release(partitions);
    }
    for (const record of poll.records)
      if (record.offset < (ends.get(record.partition) ?? 0)) records.push(record.copy());
    const reached = [
      ...poll.records.map(({ partition, offset }) => ({ partition, offset: offset + 1 })),
      ...poll.positions,
    ];
    for (const { partition, offset } of reached) if (offset >= (ends.get(partition) ?? 0)) open.delete(partition);
  }
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}
