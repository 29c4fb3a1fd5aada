import { createRequire } from 'node:module';
import { ClientError, MissingDependencyError } from '../errors.ts';

/** librdkafka's in-process mock cluster, through its C functions. They look at nothing: arguments must be checked before, and none may be called once it is destroyed. */
export interface MockCluster {
  /** `host:port,host:port` */
  readonly bootstrapServers: string;
  createTopic(topic: string, partitions: number): void;
  deleteTopic(topic: string): void;
  /** Deletes the records below an offset. */
  deleteRecords(topic: string, partition: number, before: number): void;
  /** The next requests of that kind are answered with these Kafka error codes, one each. */
  pushErrors(apiKey: number, codes: readonly number[]): void;
  setBrokerDown(broker: number): void;
  setBrokerUp(broker: number): void;
  setRoundTrip(broker: number, ms: number): void;
  /** After that every client of it must be gone. */
  destroy(): void;
}

/** librdkafka's log levels are syslog's. */
const ONLY_ERRORS = '3';

const HEARTBEAT_MS = 100;

/** @throws MissingDependencyError without koffi */
export async function startMockCluster(brokers: number): Promise<MockCluster> {
  const library = await loadLibrary();
  const error = Buffer.alloc(512);
  const configuration: unknown = library('void *rd_kafka_conf_new()')();
  library('int rd_kafka_conf_set(void *conf, const char *name, const char *value, void *errstr, size_t size)')(
    configuration,
    'log_level',
    ONLY_ERRORS,
    error,
    error.length,
  );
  const PRODUCER = 0;
  const handle: unknown = library('void *rd_kafka_new(int type, void *conf, void *errstr, size_t size)')(
    PRODUCER,
    configuration,
    error,
    error.length,
  );
  if (handle === null)
    throw new ClientError(`the mock cluster cannot start: ${error.toString('utf8').replace(/\0.*$/s, '')}`);
  const cluster: unknown = library('void *rd_kafka_mock_cluster_new(void *rk, int brokers)')(handle, brokers);
  const destroyHandle = library('void rd_kafka_destroy(void *rk)');
  if (cluster === null) {
    destroyHandle(handle);
    throw new ClientError(`the mock cluster cannot start its ${brokers} brokers`);
  }
  const bootstrap = library('const char *rd_kafka_mock_cluster_bootstraps(void *cluster)');
  const createTopic = library(
    'int rd_kafka_mock_topic_create(void *cluster, const char *topic, int partitions, int replicas)',
  );
  const deleteTopic = library('int rd_kafka_mock_topic_delete(void *cluster, const char *topic)');
  const deleteRecords = library(
    'int rd_kafka_mock_partition_delete_records(void *cluster, const char *topic, int32_t partition, int64_t before)',
  );
  const pushErrors = library(
    'void rd_kafka_mock_push_request_errors_array(void *cluster, int16_t key, size_t count, const int32_t *errors)',
  );
  const down = library('int rd_kafka_mock_broker_set_down(void *cluster, int32_t broker)');
  const up = library('int rd_kafka_mock_broker_set_up(void *cluster, int32_t broker)');
  const roundTrip = library('int rd_kafka_mock_broker_set_rtt(void *cluster, int32_t broker, int ms)');
  const destroyCluster = library('void rd_kafka_mock_cluster_destroy(void *cluster)');
  // A worker in a test should wait neither for members that never come nor for the next heartbeat to tell it something.
  library('void rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(void *cluster, int ms)')(cluster, HEARTBEAT_MS);
  library('void rd_kafka_mock_group_initial_rebalance_delay_ms(void *cluster, int32_t ms)')(cluster, 0);
  return {
    bootstrapServers: bootstrap(cluster) as string,
    createTopic: (topic, partitions) => succeed(`topic ${topic}`, createTopic(cluster, topic, partitions, 1)),
    deleteTopic: (topic) => succeed(`topic ${topic}`, deleteTopic(cluster, topic)),
    deleteRecords: (topic, partition, before) => succeed(topic, deleteRecords(cluster, topic, partition, before)),
    pushErrors: (apiKey, codes) => void pushErrors(cluster, apiKey, codes.length, Int32Array.from(codes)),
    setBrokerDown: (broker) => succeed(`broker ${broker}`, down(cluster, broker)),
    setBrokerUp: (broker) => succeed(`broker ${broker}`, up(cluster, broker)),
    setRoundTrip: (broker, ms) => succeed(`broker ${broker}`, roundTrip(cluster, broker, ms)),
    destroy() {
      destroyCluster(cluster);
      destroyHandle(handle);
    },
  };
}

type Declare = (prototype: string) => (...values: unknown[]) => unknown;

/** The client's addon has librdkafka in it or beside it: either way its functions are found through the addon. */
async function loadLibrary(): Promise<Declare> {
  const koffi = await loadKoffi();
  const client = createRequire(import.meta.url).resolve('@confluentinc/kafka-javascript/librdkafka.js');
  const addon = client.replace(/librdkafka\.js$/, 'build/Release/confluent-kafka-javascript.node');
  const library = koffi.load(addon);
  return (prototype) => library.func(prototype) as (...values: unknown[]) => unknown;
}

async function loadKoffi(): Promise<{ load(path: string): { func(prototype: string): unknown } }> {
  try {
    const koffi = (await import('koffi')) as unknown as {
      default: { load(path: string): { func(prototype: string): unknown } };
    };
    return koffi.default;
  } catch (cause) {
    throw new MissingDependencyError('embeddedKafka() needs the package koffi: npm install --save-dev koffi', {
      cause,
    });
  }
}

function succeed(what: string, code: unknown): void {
  if (code !== 0) throw new ClientError(`mock cluster: ${what}: Kafka error ${String(code)}`);
}
