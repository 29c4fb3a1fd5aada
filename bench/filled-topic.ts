import clients from '@confluentinc/kafka-javascript';
import { called } from './called.ts';

/** A workload: what is in the topic that every contestant reads. */
export interface FilledTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly valueBytes: number;
  /** The number of the key that a record has, asked for in the order in which records are written. */
  readonly keyOf: (record: number) => number;
  /** How large a batch the producer makes of them; a broker never gives less than one. @defaultValue as large as may be, for speed */
  readonly batchBytes?: number;
  /** What the producer packs batches with. @defaultValue nothing */
  readonly codec?: 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /** Headers of each record. @defaultValue 0 */
  readonly headers?: number;
}

/** What Kafka's own Java producer does unless it is told otherwise. */
export const ORDINARY_BATCH_BYTES = 16_384;

const FLUSH_MS = 60_000;

/** Values repeat behind so many bytes: more than a codec looks back. */
const DISTINCT_BYTES = 4 * 1024 * 1024;

/** Makes the topic and fills it, every key in its own partition, for as long as `run` takes: the broker may be one that others use too. */
export async function withTopic<T>(brokers: string, filled: FilledTopic, run: () => Promise<T>): Promise<T> {
  await fillTopic(brokers, filled);
  try {
    return await run();
  } finally {
    await dropTopic(brokers, filled.topic);
  }
}

async function fillTopic(
  brokers: string,
  { topic, partitions, records, valueBytes, keyOf, batchBytes, codec, headers = 0 }: FilledTopic,
): Promise<void> {
  const admin = clients.RdKafka.AdminClient.create({ 'bootstrap.servers': brokers });
  await called<void>((done) => admin.createTopic({ topic, num_partitions: partitions, replication_factor: 1 }, done));
  admin.disconnect();
  const producer = new clients.RdKafka.Producer({
    ...{
      'bootstrap.servers': brokers,
      'linger.ms': 50,
      'queue.buffering.max.messages': 200_000,
      'batch.num.messages': 10_000,
    },
    ...{ acks: 'all', 'enable.idempotence': true },
    ...(batchBytes === undefined ? {} : { 'batch.size': batchBytes }),
    ...(codec === undefined ? {} : { 'compression.codec': codec }),
  });
  await called((done) => producer.connect({ topic, timeout: 10_000 }, done));
  const values = distinctValues(valueBytes, Math.min(records, Math.ceil(DISTINCT_BYTES / valueBytes)));
  const own = Array.from({ length: headers }, (_, i) => ({ [`header-${i}`]: Buffer.from(`value-${i}`) }));
  const names: Buffer[] = [];
  for (let sent = 0, key = keyOf(0); sent < records; ) {
    names[key] ??= Buffer.from(`key-${key}`);
    try {
      producer.produce(
        topic,
        key % partitions,
        values[sent % values.length] ?? null,
        names[key],
        undefined,
        undefined,
        own,
      );
      key = keyOf(++sent);
    } catch (error) {
      if ((error as { code?: number }).code !== clients.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
      producer.poll();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  await called((done) => producer.flush(FLUSH_MS, done));
  await called((done) => producer.disconnect(done));
}

/** Random hexadecimal digits, which codecs pack to about half; the same ones each time. */
function distinctValues(bytes: number, count: number): Buffer[] {
  const random = sameNumbers();
  return Array.from({ length: count }, () => {
    const digits = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i++) digits[i] = '0123456789abcdef'.charCodeAt(Math.floor(random() * 16));
    return digits;
  });
}

async function dropTopic(brokers: string, topic: string): Promise<void> {
  const admin = clients.RdKafka.AdminClient.create({ 'bootstrap.servers': brokers });
  await called<void>((done) => admin.deleteTopic(topic, done));
  admin.disconnect();
}

/** Numbers below `count`, the n-th of them with a weight of 1/n; the same sequence each time. */
export function zipfKeys(count: number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let n = 1; n <= count; n++) {
    sum += 1 / n;
    sums.push(sum);
  }
  const random = sameNumbers();
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Numbers below `count`, each as likely as any other; the same sequence each time. */
export function uniformKeys(count: number): () => number {
  const random = sameNumbers();
  return () => Math.floor(random() * count);
}

/** From 0 up to 1, the same sequence each time. */
function sameNumbers(): () => number {
  let state = 42;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
