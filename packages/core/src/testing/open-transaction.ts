import { newNativeProducer } from '../confluent/native-client.ts';
import { uniqueName } from './cluster-under-test.ts';

type Ask = (done: (error?: Error | null) => void) => void;

/** A transaction that has written its records, and is open. */
export interface OpenTransaction {
  end(how: 'commit' | 'abort'): Promise<void>;
  close(): Promise<void>;
}

/** Opens one that writes so many records, or these values, to a topic's partition 0. */
export async function openTransaction(
  brokers: string,
  topic: string,
  records: number | readonly Buffer[],
  librdkafka: Readonly<Record<string, string | number>> = {},
): Promise<OpenTransaction> {
  const own = { 'bootstrap.servers': brokers, 'transactional.id': uniqueName('transaction'), 'linger.ms': 0 };
  const properties = { ...own, ...librdkafka };
  const values =
    typeof records === 'number' ? Array.from({ length: records }, (_, i) => Buffer.from(String(i))) : records;
  const producer = newNativeProducer(properties, {});
  await ask((done) => producer.connect({ allTopics: false }, done));
  await ask((done) => producer.initTransactions(10_000, done));
  await ask((done) => producer.beginTransaction(done));
  for (const value of values) producer.produce(topic, 0, value, Buffer.from('t'), null, undefined);
  await ask((done) => producer.flush(10_000, done));
  return {
    end: (how) =>
      ask((done) =>
        how === 'commit' ? producer.commitTransaction(10_000, done) : producer.abortTransaction(10_000, done),
      ),
    close: () => ask((done) => producer.disconnect(1_000, done)),
  };
}

function ask(run: Ask): Promise<void> {
  return new Promise((resolve, reject) => run((error) => (error ? reject(error) : resolve())));
}
