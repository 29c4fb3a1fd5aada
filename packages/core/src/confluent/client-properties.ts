import type { ClientProperties, ResolvedConfluentKafkaOptions } from './client-options.ts';
import { refuseClassicProperties } from './reserved-properties.ts';

/** librdkafka looks again at a full queue only after a second by default: a reader at full speed would wait for it. */
const QUEUE_BACKOFF_MS = 10;

/**
 * librdkafka hands a whole fetch of one partition over before anything of the next one. With its default, 1 MiB, a backlog of small records comes
 * thousands from one partition at a time, and the handlers of all others stand idle meanwhile. A larger message is still fetched whole.
 */
const PARTITION_FETCH_BYTES = 128 * 1024;

const consumerDefaults: Readonly<ClientProperties> = {
  'fetch.message.max.bytes': PARTITION_FETCH_BYTES,
  'fetch.queue.backoff.ms': QUEUE_BACKOFF_MS,
};

const consumerOwned: Readonly<ClientProperties> = {
  'enable.auto.commit': false,
  'enable.auto.offset.store': false,
  // Nothing may jump: a position outside the log is an error that the worker sees.
  'auto.offset.reset': 'error',
  'enable.partition.eof': true,
  'allow.auto.create.topics': false,
};

/** Enough to batch well under load, too little to be noticed when a single message is sent. */
const LINGER_MS = 5;

interface MemberOptions {
  readonly groupId: string;
  readonly groupInstanceId?: string;
  readonly groupProtocol: 'classic' | 'consumer';
  readonly clientId?: string;
}

/** The properties of a group member's client. Pure. */
export function consumerProperties(kafka: ResolvedConfluentKafkaOptions, member: MemberOptions): ClientProperties {
  const isClassic = member.groupProtocol === 'classic';
  if (!isClassic) refuseClassicProperties(kafka.librdkafka);
  return {
    ...(isClassic ? { 'partition.assignment.strategy': 'cooperative-sticky' } : {}),
    ...consumerDefaults,
    ...common(kafka, member.clientId),
    ...consumerOwned,
    'group.id': member.groupId,
    ...(member.groupInstanceId === undefined ? {} : { 'group.instance.id': member.groupInstanceId }),
    'group.protocol': member.groupProtocol,
  };
}

/** The properties of a producer. Pure. */
export function producerProperties(kafka: ResolvedConfluentKafkaOptions, clientId?: string): ClientProperties {
  return {
    'linger.ms': LINGER_MS,
    ...withoutConsumerProperties(common(kafka, clientId)),
    'enable.idempotence': true,
  };
}

/** Transactions follow each other closely, and the broker says "not yet" right after the last one: the default, 100 ms, would be most of the time. */
const TRANSACTION_RETRY_BACKOFF_MS = 5;

/**
 * How long a topic may be unknown before messages for it fail. The default, 30 s, is longer than a transaction may be: messages would fail as timed out, which
 * says nothing of their topic, and the broker might have dropped the transaction by then. A topic that was created just now is known sooner.
 */
const TOPIC_PROPAGATION_MS = 5_000;

/**
 * When a group's coordinator goes away, librdkafka may wait for the connection to a broker that it has given up, without a bound, and looks again only when
 * some connection changes. Connections that nothing is sent over are closed after this, so that one does; all are in use as long as transactions follow
 * each other.
 */
const IDLE_CONNECTION_MS = 5_000;

/** The properties of a producer of transactions. Pure. */
export function transactionalProperties(
  kafka: ResolvedConfluentKafkaOptions,
  options: { readonly clientId?: string; readonly transactionalId: string; readonly transactionTimeoutMs: number },
): ClientProperties {
  const { transactionTimeoutMs } = options;
  const properties: ClientProperties = {
    'retry.backoff.ms': TRANSACTION_RETRY_BACKOFF_MS,
    'connections.max.idle.ms': IDLE_CONNECTION_MS,
    'topic.metadata.propagation.max.ms': Math.min(TOPIC_PROPAGATION_MS, Math.floor(transactionTimeoutMs / 2)),
    ...producerProperties(kafka, options.clientId),
    'transactional.id': options.transactionalId,
    'transaction.timeout.ms': transactionTimeoutMs,
  };
  // librdkafka refuses those that are longer than a transaction may be. When they are left out it fits them in by itself.
  for (const name of ['message.timeout.ms', 'delivery.timeout.ms', 'socket.timeout.ms']) {
    const value = properties[name];
    if (value !== undefined && (Number(value) === 0 || Number(value) > transactionTimeoutMs))
      properties[name] = transactionTimeoutMs;
  }
  return properties;
}

/** The properties of a client that only asks. Pure. */
export function adminProperties(kafka: ResolvedConfluentKafkaOptions, clientId?: string): ClientProperties {
  return withoutConsumerProperties(common(kafka, clientId));
}

/**
 * How long a broker that was not reached is left alone at most. librdkafka's own 10 s would keep a member away from a coordinator that is back: it could
 * not even leave meanwhile, and its partitions would stand still for a session timeout. Kafka's Java client has a second, too.
 */
const RECONNECT_BACKOFF_MAX_MS = 1_000;

function common(kafka: ResolvedConfluentKafkaOptions, clientId: string | undefined): ClientProperties {
  const id = clientId ?? kafka.clientId;
  // librdkafka refuses a maximum that is less than what it begins with.
  const firstMs = Number(kafka.librdkafka['reconnect.backoff.ms'] ?? 0);
  return {
    'reconnect.backoff.max.ms': Math.max(RECONNECT_BACKOFF_MAX_MS, firstMs),
    ...kafka.librdkafka,
    ...kafka.connection,
    ...(id === undefined ? {} : { 'client.id': id }),
  };
}

/** librdkafka takes these on a producer, and complains in its log. */
const consumerOnly = [
  'partition.assignment.strategy',
  'session.timeout.ms',
  'heartbeat.interval.ms',
  'max.poll.interval.ms',
  'group.remote.assignor',
  'isolation.level',
  'check.crcs',
];

function withoutConsumerProperties(properties: ClientProperties): ClientProperties {
  const isConsumers = (name: string): boolean =>
    name.startsWith('fetch.') || name.startsWith('queued.') || consumerOnly.includes(name);
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !isConsumers(name)));
}
