import { newNativeProducer } from '../confluent/native-client.ts';
import { uniqueName } from './cluster-under-test.ts';

type Ask = (done: (error?: Error | null) => void) => void;

/** A transaction that has written its records, and is open. */
export interface OpenTransaction {
  end(how: 'commit' | 'abort'): Promise<void>;
  close(): Promise<void>;
}

/** Opens one that writes so many records to a topic's partition 0. */
export async function openTransaction(brokers: string, topic: string, count: number): Promise<OpenTransaction> {
  const properties = { 'bootstrap.servers': brokers, 'transactional.id': uniqueName('transaction'), 'linger.ms': 0 };
  const producer = newNativeProducer(properties, {});
  await ask((done) => producer.connect({ allTopics: false }, done));
  await ask((done) => producer.initTransactions(10_000, done));
  await ask((done) => producer.beginTransaction(done));
  for (let i = 0; i < count; i++) producer.produce(topic, 0, Buffer.from(String(i)), Buffer.from('t'), null, undefined);
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
