import { systemClock } from '../clock.ts';
import { nativePartition } from '../confluent/native-arguments.ts';
import { InvalidOptionError } from '../errors.ts';
import type {
  KafkaAdmin,
  KafkaAdminOptions,
  KafkaCluster,
  KafkaConsumer,
  KafkaConsumerOptions,
  KafkaProducer,
  KafkaProducerOptions,
} from '../kafka-client.ts';
import type { Logger } from '../logger.ts';
import type { OutgoingRecord } from '../record.ts';
import type { TransactionalProducer } from '../transactional-producer.ts';
import { clientNotLoaded } from './client-not-loaded.ts';
import { checkCount, checkInitialTopics, checkNewTopic, checkObject } from './cluster-checks.ts';
import { EmbeddedAdmin } from './embedded-admin.ts';
import { EmbeddedClients } from './embedded-clients.ts';
import { type MockCluster, startMockCluster } from './mock-cluster.ts';

/** How to start an {@link embeddedKafka}. Start with `topics`. */
export interface EmbeddedKafkaOptions {
  /** Created before it resolves. */
  readonly topics?: Readonly<Record<string, { readonly partitions: number }>>;
  /** @defaultValue 1 */
  readonly brokers?: number;
  /** Further properties for the clients, as `confluentKafka` takes them. */
  readonly librdkafka?: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** A Kafka cluster inside this process. */
export interface EmbeddedKafka extends KafkaCluster, AsyncDisposable {
  /** The `host:port` list for any other client. */
  readonly bootstrapServers: string;
  createTopic(topic: string, options?: { readonly partitions?: number }): Promise<void>;
  /** Produces in order, and resolves when everything is acknowledged. */
  send(messages: Iterable<OutgoingRecord>): Promise<void>;
  /** What a group has committed, by partition. */
  committed(groupId: string, topic: string): Promise<ReadonlyMap<number, number>>;
  /** Deletes the records of a partition below an offset, as retention does. */
  deleteRecords(topic: string, partition: number, before: number): void;
  /** The next requests of that kind (Kafka's API key, 8 is OffsetCommit) are answered with these Kafka error codes, one each. */
  pushErrors(apiKey: number, codes: readonly number[]): void;
  /** Brokers count from 1. */
  setBrokerDown(broker: number): void;
  setBrokerUp(broker: number): void;
  setRoundTrip(broker: number, ms: number): void;
}

const CONNECT_MS = 10_000;
const FLUSH_MS = 10_000;
const DEFAULT_PARTITIONS = 4;

/** Each has a socket and a thread. */
const MAX_BROKERS = 100;
const MAX_INT16 = 2 ** 15 - 1;
const MAX_INT32 = 2 ** 31 - 1;

/** What makes the mock cluster quick: it answers an empty fetch only when the wait is over, and regroups after the session timeout less a second. */
const quick = { 'fetch.wait.max.ms': 10, 'reconnect.backoff.ms': 20, 'reconnect.backoff.max.ms': 200 };
const quickClassic = { 'session.timeout.ms': 2_000, 'heartbeat.interval.ms': 200 };

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * A Kafka cluster in this process, for tests and demos: real librdkafka clients on librdkafka's own mock cluster, over loopback.
 *
 * It is not Kafka in these points: a transaction's offsets are not stored, `read_committed` sees everything, nobody is fenced, a lookup
 * by date gives the end, the oldest records go at 5 MiB or 100,000 batches per partition, only one message batch per partition and
 * fetch is served, and nothing survives the process. Tests of those need a real broker.
 *
 * @throws InvalidOptionError for options that cannot be used
 * @throws MissingDependencyError when `koffi` or the Kafka client is not installed; the message has the command
 */
export async function embeddedKafka(options: EmbeddedKafkaOptions = {}): Promise<EmbeddedKafka> {
  checkObject('options', options, 'an object');
  const { topics = {}, brokers: brokerCount = 1, librdkafka = {} } = options;
  checkInitialTopics(topics);
  checkCount('brokers', brokerCount, 1, MAX_BROKERS);
  checkObject('librdkafka', librdkafka, 'an object of librdkafka properties');
  const { confluentKafka } = await loadConfluent();
  const mock = await startMockCluster(brokerCount);
  try {
    const brokers = mock.bootstrapServers.split(',');
    const properties = { ...quick, ...librdkafka };
    const forClassic = confluentKafka({
      brokers,
      reader: 'librdkafka',
      librdkafka: { ...quickClassic, ...properties },
    });
    const forOthers = confluentKafka({ brokers, reader: 'librdkafka', librdkafka: properties });
    for (const [topic, { partitions }] of Object.entries(topics)) mock.createTopic(topic, partitions);
    return new Embedded(mock, brokers, forClassic, forOthers);
  } catch (error) {
    mock.destroy();
    throw error;
  }
}

class Embedded implements EmbeddedKafka {
  readonly kind = 'kafka-cluster';
  readonly brokers: readonly string[];
  readonly bootstrapServers: string;
  readonly #mock: MockCluster;
  readonly #forClassic: KafkaCluster;
  readonly #forOthers: KafkaCluster;
  readonly #clients = new EmbeddedClients();
  #sender: Promise<KafkaProducer> | undefined;
  #disposed: Promise<void> | undefined;

  constructor(mock: MockCluster, brokers: readonly string[], forClassic: KafkaCluster, forOthers: KafkaCluster) {
    this.#mock = mock;
    this.brokers = brokers;
    this.bootstrapServers = mock.bootstrapServers;
    this.#forClassic = forClassic;
    this.#forOthers = forOthers;
  }

  consumer(options: KafkaConsumerOptions): KafkaConsumer {
    this.#clients.assertOpen();
    const cluster = options?.groupProtocol === 'classic' ? this.#forClassic : this.#forOthers;
    const consumer = cluster.consumer(options);
    return this.#clients.watch(consumer, () => consumer.close());
  }

  producer(options: KafkaProducerOptions): KafkaProducer {
    this.#clients.assertOpen();
    const producer = this.#forOthers.producer(options);
    return this.#clients.watch(producer, () => producer.close(FLUSH_MS));
  }

  readonly transactionRefusal =
    'the embedded cluster stores no offsets of transactions and fences nobody off: use a broker, or fakeKafka() in tests';

  transactionalProducer(): TransactionalProducer {
    throw new InvalidOptionError('kafka', `a cluster with transactions (${this.transactionRefusal})`, this);
  }

  admin(options: KafkaAdminOptions): KafkaAdmin {
    this.#clients.assertOpen();
    const admin = this.#forOthers.admin(options);
    return new EmbeddedAdmin(
      this.#clients.watch(admin, () => admin.close()),
      () => this.#open,
    );
  }

  async createTopic(topic: string, options: { readonly partitions?: number } = {}): Promise<void> {
    checkObject('options', options, '{ partitions }');
    const { partitions = DEFAULT_PARTITIONS } = options;
    checkNewTopic(topic, { partitions });
    this.#open.createTopic(topic, partitions);
  }

  async send(messages: Iterable<OutgoingRecord>): Promise<void> {
    this.#clients.assertOpen();
    const list = listOf(messages);
    this.#sender ??= this.#newSender();
    const sender = await this.#sender;
    try {
      // Before any is sent: nobody would wait for those in front of a wrong one.
      for (const message of list) sender.check(message);
      await Promise.all(list.map((message) => sender.send(message)));
    } finally {
      if (sender.fatal !== undefined) {
        this.#sender = undefined;
        await sender.close(0);
      }
    }
  }

  async committed(groupId: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const reader = this.consumer({ groupId, groupProtocol: 'classic', clock: systemClock, logger: silent });
    try {
      await reader.connect({ timeoutMs: CONNECT_MS });
      const count = (await reader.partitionCounts([topic])).get(topic) ?? 0;
      const partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }));
      const committed = new Map<number, number>();
      for (const { partition, offset } of await reader.committed(partitions)) {
        if (offset !== undefined) committed.set(partition, offset);
      }
      return committed;
    } finally {
      await reader.close();
    }
  }

  deleteRecords(topic: string, partition: number, before: number): void {
    nativePartition('partition', { topic, partition });
    checkCount('before', before, 0);
    this.#open.deleteRecords(topic, partition, before);
  }

  pushErrors(apiKey: number, codes: readonly number[]): void {
    checkCount('apiKey', apiKey, 0, MAX_INT16);
    if (!Array.isArray(codes)) throw new InvalidOptionError('codes', 'a list of Kafka error codes', codes);
    // A code of Kafka's, or one of librdkafka's own, which are negative.
    for (const [i, code] of codes.entries()) checkCount(`codes[${i}]`, code, -MAX_INT16, MAX_INT16);
    if (codes.length > 0) this.#open.pushErrors(apiKey, codes);
  }

  setBrokerDown(broker: number): void {
    this.#checkBroker(broker);
    this.#open.setBrokerDown(broker);
  }

  setBrokerUp(broker: number): void {
    this.#checkBroker(broker);
    this.#open.setBrokerUp(broker);
  }

  setRoundTrip(broker: number, ms: number): void {
    this.#checkBroker(broker);
    checkCount('ms', ms, 0, MAX_INT32);
    this.#open.setRoundTrip(broker, ms);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await this.#clients.close();
    this.#mock.destroy();
  }

  /** The mock cluster, as long as it is there: its functions would end the process after that. */
  get #open(): MockCluster {
    this.#clients.assertOpen();
    return this.#mock;
  }

  #checkBroker(broker: number): void {
    checkCount('broker', broker, 1, this.brokers.length);
  }

  async #newSender(): Promise<KafkaProducer> {
    const producer = this.producer({ clock: systemClock, logger: silent });
    try {
      await producer.connect({ timeoutMs: CONNECT_MS });
      return producer;
    } catch (error) {
      // The next messages try with a new one.
      this.#sender = undefined;
      throw error;
    }
  }
}

async function loadConfluent(): Promise<typeof import('../confluent/confluent-kafka.ts')> {
  try {
    return await import('../confluent/confluent-kafka.ts');
  } catch (cause) {
    throw clientNotLoaded(cause);
  }
}

function listOf(messages: unknown): OutgoingRecord[] {
  try {
    return Array.from(messages as Iterable<OutgoingRecord>);
  } catch {
    throw new InvalidOptionError('messages', 'a list of messages', messages);
  }
}
