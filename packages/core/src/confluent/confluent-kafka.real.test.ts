import { describe, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import type { OutgoingRecord } from '../record.ts';
import type { ClusterUnderTest } from '../testing/cluster-under-test.ts';
import { uniqueName } from '../testing/cluster-under-test.ts';
import { describeKafkaCluster } from '../testing/describe-kafka-cluster.ts';
import { confluentKafka } from './index.ts';
import { type NativeProducer, newNativeProducer } from './native-client.ts';

const brokers = process.env.KAFKA_BROKERS;

/** Members notice within a heartbeat that they have to rejoin: the default of 3 s is for production. */
const quick = { 'heartbeat.interval.ms': 100, 'session.timeout.ms': 6_000, 'fetch.wait.max.ms': 100 };

if (brokers === undefined) {
  describe('Kafka cluster: real', () => {
    it.skip('needs a broker: set KAFKA_BROKERS, or start one with npm run kafka -- start', () => {});
  });
} else {
  const capabilities = {
    groupProtocols: ['classic', 'consumer'],
    keepsLeaderEpochs: true,
    findsDates: true,
    rebalances: 'cooperative',
    limitsMessageSize: true,
    keepsStaticMembers: true,
    writesControlRecords: true,
    transactions: true,
  } as const;
  for (const reader of ['librdkafka', 'direct'] as const) {
    // The native client does not tell a null header from an empty one.
    const own = { ...capabilities, readsNullHeaders: reader === 'direct' };
    describeKafkaCluster(`real, ${reader}`, () => realCluster(brokers, { reader }), {
      ...own,
      readsOnWhileRevoking: reader === 'direct',
    });
    const properties = { 'partition.assignment.strategy': 'range,roundrobin' };
    describeKafkaCluster(`real, ${reader}, eager`, () => realCluster(brokers, { reader, properties }), {
      ...own,
      groupProtocols: ['classic'],
      rebalances: 'eager',
    });
  }
}

interface ClusterOptions {
  readonly reader: 'librdkafka' | 'direct';
  readonly properties?: Readonly<Record<string, string>>;
}

async function realCluster(list: string, { reader, properties = {} }: ClusterOptions): Promise<ClusterUnderTest> {
  const addresses = list.split(',');
  const classic = confluentKafka({ brokers: addresses, reader, librdkafka: { ...quick, ...properties } });
  const consumer = confluentKafka({ brokers: addresses, reader, librdkafka: { 'fetch.wait.max.ms': 100 } });
  return {
    cluster: {
      ...classic,
      consumer: (options) => (options.groupProtocol === 'classic' ? classic : consumer).consumer(options),
    },
    unreachable: confluentKafka({ brokers: ['127.0.0.1:1'], reader }),
    clock: systemClock,
    sendInTransaction: (messages) => sendInTransaction(list, messages),
    dispose: () => Promise.resolve(),
  };
}

/** One committed transaction, by the raw client: what makes control records. */
async function sendInTransaction(list: string, messages: readonly OutgoingRecord[]): Promise<void> {
  const properties = { 'bootstrap.servers': list, 'transactional.id': uniqueName('transaction') };
  const producer = newNativeProducer(properties, {}) as NativeProducer & Transactions;
  const call = (run: (done: (error?: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => run((error) => (error ? reject(error) : resolve())));
  await call((done) => producer.connect({ allTopics: false }, done));
  try {
    await call((done) => producer.initTransactions(10_000, done));
    await call((done) => producer.beginTransaction(done));
    for (const { topic, partition = 0, value } of messages) {
      producer.produce(topic, partition, Buffer.from(String(value)), null, null, undefined);
    }
    await call((done) => producer.commitTransaction(10_000, done));
  } finally {
    await call((done) => producer.disconnect(1_000, done));
  }
}

interface Transactions {
  initTransactions(timeoutMs: number, done: (error?: Error | null) => void): void;
  beginTransaction(done: (error?: Error | null) => void): void;
  commitTransaction(timeoutMs: number, done: (error?: Error | null) => void): void;
}
