import { systemClock } from '../clock.ts';
import { MissingDependencyError } from '../errors.ts';
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
 * @throws MissingDependencyError when `koffi` or the Kafka client is not installed; the message has the command
 */
export async function embeddedKafka(options: EmbeddedKafkaOptions = {}): Promise<EmbeddedKafka> {
  const { confluentKafka } = await loadConfluent();
  const mock = await startMockCluster(options.brokers ?? 1);
  const brokers = mock.bootstrapServers.split(',');
  const librdkafka = { ...quick, ...options.librdkafka };
  const forClassic = confluentKafka({ brokers, librdkafka: { ...quickClassic, ...librdkafka } });
  const forOthers = confluentKafka({ brokers, librdkafka });
  for (const [topic, { partitions }] of Object.entries(options.topics ?? {})) mock.createTopic(topic, partitions);
  return new Embedded(mock, brokers, forClassic, forOthers);
}

class Embedded implements EmbeddedKafka {
  readonly kind = 'kafka-cluster';
  readonly brokers: readonly string[];
  readonly bootstrapServers: string;
  readonly #mock: MockCluster;
  readonly #forClassic: KafkaCluster;
  readonly #forOthers: KafkaCluster;
  /** Everything that must be gone before the cluster is. */
  readonly #clients = new Set<{ close(timeoutMs: number): Promise<void> }>();
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
    const cluster = options.groupProtocol === 'classic' ? this.#forClassic : this.#forOthers;
    return this.#keep(cluster.consumer(options));
  }

  producer(options: KafkaProducerOptions): KafkaProducer {
    return this.#keep(this.#forOthers.producer(options));
  }

  /** The mock cluster does not know these requests, so topics are made behind its back. */
  admin(options: KafkaAdminOptions): KafkaAdmin {
    const admin = this.#keep(this.#forOthers.admin(options));
    return {
      connect: (connectOptions) => admin.connect(connectOptions),
      createTopic: async (topic, { partitions }) => this.#mock.createTopic(topic, partitions),
      deleteTopic: async (topic) => this.#mock.deleteTopic(topic),
      close: () => admin.close(),
    };
  }

  async createTopic(topic: string, options: { readonly partitions?: number } = {}): Promise<void> {
    this.#mock.createTopic(topic, options.partitions ?? DEFAULT_PARTITIONS);
  }

  async send(messages: Iterable<OutgoingRecord>): Promise<void> {
    this.#sender ??= this.#connected(this.producer({ clock: systemClock, logger: silent }));
    const sender = await this.#sender;
    await Promise.all(Array.from(messages, (message) => sender.send(message)));
  }

  async committed(groupId: string, topic: string): Promise<ReadonlyMap<number, number>> {
    const reader = this.consumer({ groupId, groupProtocol: 'classic', clock: systemClock, logger: silent });
    try {
      await this.#connected(reader);
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
    this.#mock.deleteRecords(topic, partition, before);
  }

  pushErrors(apiKey: number, codes: readonly number[]): void {
    this.#mock.pushErrors(apiKey, codes);
  }

  setBrokerDown(broker: number): void {
    this.#mock.setBrokerDown(broker);
  }

  setBrokerUp(broker: number): void {
    this.#mock.setBrokerUp(broker);
  }

  setRoundTrip(broker: number, ms: number): void {
    this.#mock.setRoundTrip(broker, ms);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    await Promise.allSettled(Array.from(this.#clients, (client) => client.close(FLUSH_MS)));
    this.#mock.destroy();
  }

  async #connected<Client extends KafkaConsumer | KafkaProducer>(client: Client): Promise<Client> {
    await client.connect({ timeoutMs: CONNECT_MS });
    return client;
  }

  #keep<Client extends KafkaConsumer | KafkaProducer | KafkaAdmin>(client: Client): Client {
    this.#clients.add(client);
    return client;
  }
}

async function loadConfluent(): Promise<typeof import('../confluent/confluent-kafka.ts')> {
  try {
    return await import('../confluent/confluent-kafka.ts');
  } catch (cause) {
    const command = 'npm install --save-dev @confluentinc/kafka-javascript koffi';
    throw new MissingDependencyError(`embeddedKafka() needs the Kafka client: ${command}`, { cause });
  }
}
