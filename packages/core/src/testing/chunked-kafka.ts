import { crc32c } from '@platformatic/kafka';
import type { DirectRecord } from '../confluent/direct/direct-record.ts';
import { readPartitionData } from '../confluent/direct/partition-data.ts';
import type { KafkaCluster, KafkaConsumer } from '../kafka-client.ts';
import type { OwnedRecord, ReceivedRecord, TopicPartition } from '../record.ts';
import type { FakeKafka } from './fake-kafka.ts';
import { writeBatch } from './written-batch.ts';

/** The cluster in memory, read as the direct reader reads: so many records of a partition share the bytes that they came in, and come in several polls. */
export function chunkedKafka(kafka: FakeKafka, chunkRecords: number): KafkaCluster {
  return { ...kafka, consumer: (options) => chunkedConsumer(kafka, kafka.consumer(options), chunkRecords) };
}

/** Records over one piece of memory: what a response would bring of their partition. */
export function chunkOf(records: readonly OwnedRecord[]): DirectRecord[] {
  const [first] = records;
  if (first === undefined) return [];
  const { topic, partition, offset: baseOffset, timestamp: baseTimestamp } = first;
  const bytes = writeBatch({
    baseOffset,
    baseTimestamp,
    records: records.map(({ offset, timestamp, key, value, headers }) => ({
      ...{ offsetDelta: offset - baseOffset, timestampDelta: timestamp - baseTimestamp },
      ...{ key, value, headers: [...headers] },
    })),
  });
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  const response = { topic, partition, bytes: own, from: baseOffset, abortedTransactions: undefined };
  const chunk: DirectRecord[] = [];
  for (const batch of readPartitionData(response, { crc32c, decompress: {} }).batches) batch.read(batch.left, chunk);
  return chunk;
}

function chunkedConsumer(kafka: FakeKafka, consumer: KafkaConsumer, chunkRecords: number): KafkaConsumer {
  /** What was fetched of each partition, by offset. */
  const fetched = new Map<string, Map<number, DirectRecord>>();
  const forget = (partitions: readonly TopicPartition[]): void => {
    for (const { topic, partition } of partitions) fetched.delete(`${topic}/${partition}`);
  };
  const fetch = ({ topic, partition, offset }: ReceivedRecord): Map<number, DirectRecord> => {
    const log = kafka.records(topic).filter((one) => one.partition === partition && one.offset >= offset);
    const chunk = chunkOf(log.slice(0, chunkRecords));
    const byOffset = new Map(chunk.map((record) => [record.offset, record]));
    fetched.set(`${topic}/${partition}`, byOffset);
    return byOffset;
  };
  const own: Partial<KafkaConsumer> = {
    async poll(maxRecords, maxWaitMs) {
      const poll = await consumer.poll(maxRecords, maxWaitMs);
      const records = poll.records.map((record): ReceivedRecord => {
        const { topic, partition, offset } = record;
        return fetched.get(`${topic}/${partition}`)?.get(offset) ?? fetch(record).get(offset) ?? record;
      });
      return { ...poll, records };
    },
    assign(partitions) {
      forget(partitions);
      consumer.assign(partitions);
    },
    release(partitions) {
      forget(partitions);
      consumer.release(partitions);
    },
    async seek(partitions) {
      forget(partitions);
      await consumer.seek(partitions);
      forget(partitions);
    },
  };
  return new Proxy(consumer, {
    get(target, name: keyof KafkaConsumer) {
      const member: unknown = own[name] ?? target[name];
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
}
