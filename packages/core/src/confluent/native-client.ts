import { RdKafka } from '@confluentinc/kafka-javascript';
import { InvalidOptionError } from '../errors.ts';
import type { TopicPartition } from '../record.ts';
import { toNativeError } from './client-errors.ts';
import type { ClientProperties } from './client-options.ts';
import type { RawMessage } from './confluent-record.ts';
import { type Callbacks, withCallbacks } from './native-callbacks.ts';
import { propertyPath } from './reserved-properties.ts';

/** How a native call answers. */
export type Done<T = void> = (error: Error | null | undefined, value: T) => void;
type Offset = TopicPartition & { offset?: number; metadata?: string; leaderEpoch?: number };

/** What the client says about a topic: partitions are empty when it does not exist. */
export interface NativeMetadata {
  readonly topics: readonly { readonly name: string; readonly partitions: readonly unknown[] }[];
}

/** The package's own types lack half of what the raw clients have and promise what they do not, so what is used of them stands here. */
export interface NativeClient {
  connect(options: object, done: Done<unknown>): void;
  getMetadata(options: { allTopics?: boolean; topic?: string; timeout: number }, done: Done<NativeMetadata>): void;
  disconnect(done: Done<unknown>): void;
  isConnected(): boolean;
  on(event: string, listener: (...values: never[]) => void): this;
}

/** The raw consumer. */
export interface NativeConsumer extends NativeClient {
  subscribe(topics: string[]): void;
  unsubscribe(): void;
  setDefaultConsumeTimeout(ms: number): void;
  consume(count: number, done: Done<RawMessage[] | undefined>): void;
  commit(offsets: Offset[]): void;
  committed(partitions: TopicPartition[], timeoutMs: number, done: Done<(Offset | Error)[]>): void;
  assign(partitions: Offset[]): void;
  unassign(): void;
  incrementalAssign(partitions: Offset[]): void;
  incrementalUnassign(partitions: TopicPartition[]): void;
  assignments(): Offset[];
  assignmentLost(): boolean;
  rebalanceProtocol(): string;
  pause(partitions: TopicPartition[]): void;
  resume(partitions: TopicPartition[]): void;
  seek(position: Offset, timeoutMs: number, done: Done): void;
  position(partitions: TopicPartition[]): (Offset | Error)[];
  getWatermarkOffsets(topic: string, partition: number): { lowOffset: number; highOffset: number };
  offsetsForTimes(partitions: Offset[], timeoutMs: number, done: Done<(Offset | Error)[]>): void;
}

/** The raw producer. */
export interface NativeProducer extends NativeClient {
  produce(
    topic: string,
    partition: number | null,
    value: Buffer | null,
    key: Buffer | null,
    timestamp: null,
    opaque: unknown,
    headers?: Record<string, Buffer>[],
  ): void;
  setPollInBackground(on: boolean): void;
  flush(timeoutMs: number, done: Done): void;
  disconnect(done: Done<unknown>): void;
  disconnect(timeoutMs: number, done: Done<unknown>): void;
  initTransactions(timeoutMs: number, done: Done): void;
  beginTransaction(done: Done): void;
  /** Ends the process for a consumer that is disconnected. */
  sendOffsetsToTransaction(offsets: Offset[], consumer: NativeConsumer, timeoutMs: number, done: Done): void;
  commitTransaction(timeoutMs: number, done: Done): void;
  abortTransaction(timeoutMs: number, done: Done): void;
}

/** The raw admin client, on another client's connections. */
export interface NativeAdmin {
  createTopic(
    topic: { topic: string; num_partitions: number; replication_factor: number; config?: Record<string, string> },
    timeoutMs: number,
    done: Done,
  ): void;
  deleteTopic(topic: string, timeoutMs: number, done: Done): void;
  listOffsets(
    partitions: (TopicPartition & { offset: { timestamp: number } })[],
    options: { timeout: number; isolationLevel: number },
    done: Done<(Offset & { error?: Error })[]>,
  ): void;
}

/** @throws InvalidOptionError for a property that librdkafka does not know, or a value that it does not take */
export function newNativeConsumer(properties: ClientProperties, callbacks: Callbacks): NativeConsumer {
  // No second argument: even an empty one makes librdkafka forget auto.offset.reset.
  const make = (own: Callbacks): NativeConsumer =>
    new RdKafka.KafkaConsumer({ ...properties, ...own }) as unknown as NativeConsumer;
  return construct(() => withCallbacks(callbacks, make), properties);
}

/** @throws InvalidOptionError for a property that librdkafka does not know, or a value that it does not take */
export function newNativeProducer(properties: ClientProperties, callbacks: Callbacks): NativeProducer {
  const make = (own: Callbacks): NativeProducer =>
    new RdKafka.Producer({ ...properties, ...own }) as unknown as NativeProducer;
  return construct(() => withCallbacks(callbacks, make), properties);
}

/** An admin client that shares a connected client's connections, and is gone with it. */
export function newNativeAdmin(client: NativeClient): NativeAdmin {
  const { AdminClient } = RdKafka as unknown as { AdminClient: { createFrom(client: NativeClient): NativeAdmin } };
  return AdminClient.createFrom(client);
}

/** Turns librdkafka's complaint about a configuration into an error that names the property. */
export function configurationError(thrown: unknown, properties: ClientProperties): InvalidOptionError {
  const message = toNativeError(thrown).message.trim();
  const name = namedProperty(message, properties);
  if (name === undefined)
    return new InvalidOptionError('librdkafka', `properties that fit together (${message})`, properties);
  const isUnknown = /no such configuration property/i.test(message);
  const expected = isUnknown ? 'a property that librdkafka knows' : `what librdkafka takes (${message})`;
  return new InvalidOptionError(propertyPath(name), expected, properties[name]);
}

/** librdkafka's own names, which its complaints have, and the others that people write. */
const aliases: Readonly<Record<string, string>> = {
  'queue.buffering.max.ms': 'linger.ms',
  'compression.codec': 'compression.type',
  'message.send.max.retries': 'retries',
  'max.in.flight.requests.per.connection': 'max.in.flight',
  'message.timeout.ms': 'delivery.timeout.ms',
  'fetch.message.max.bytes': 'max.partition.fetch.bytes',
  'sasl.mechanisms': 'sasl.mechanism',
};

/** The property that a complaint is about, as it was written. What else is quoted is a value, or a property beside it. */
function namedProperty(message: string, properties: ClientProperties): string | undefined {
  const quoted = Array.from(message.matchAll(/[`"]([A-Za-z0-9._]+)[`"]/g), ([, name = '']) => name);
  const isGiven = (name: string | undefined): name is string => name !== undefined && Object.hasOwn(properties, name);
  return quoted.find(isGiven) ?? quoted.map((name) => aliases[name]).find(isGiven) ?? quoted[0];
}

function construct<T>(create: () => T, properties: ClientProperties): T {
  try {
    return create();
  } catch (thrown) {
    throw configurationError(thrown, properties);
  }
}
