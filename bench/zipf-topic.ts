import clients from '@confluentinc/kafka-javascript';
import { called } from './called.ts';

/** The workload: what is in the topic that every contestant reads. */
export interface ZipfTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly keys: number;
  readonly valueBytes: number;
}

const FLUSH_MS = 60_000;

/** Makes the topic and fills it: keys as often as Zipf's law says, each in its own partition. */
export async function fillZipfTopic(
  brokers: string,
  { topic, partitions, records, keys, valueBytes }: ZipfTopic,
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
  });
  await called((done) => producer.connect({ topic, timeout: 10_000 }, done));
  const value = Buffer.alloc(valueBytes, 'x');
  const names = Array.from({ length: keys }, (_, key) => Buffer.from(`key-${key}`));
  const pick = zipf(keys);
  for (let sent = 0; sent < records; ) {
    const key = pick();
    try {
      producer.produce(topic, key % partitions, value, names[key]);
      sent++;
    } catch (error) {
      if ((error as { code?: number }).code !== clients.CODES.ERRORS.ERR__QUEUE_FULL) throw error;
      producer.poll();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  await called((done) => producer.flush(FLUSH_MS, done));
  await called((done) => producer.disconnect(done));
}

/** Numbers below `count`, the n-th of them with a weight of 1/n; the same sequence each time. */
function zipf(count: number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let n = 1; n <= count; n++) {
    sum += 1 / n;
    sums.push(sum);
  }
  let state = 42;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const wanted = (state / 2 ** 32) * sum;
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
