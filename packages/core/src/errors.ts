import { KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { OutgoingRecord, TopicPartition } from './record.ts';

/** An option that cannot be used as it is; the message names it, what was expected and what came. */
export class InvalidOptionError extends KafkaWorkerError {
  /** The path of the option, such as `commit.everyMs`. */
  readonly option: string;

  constructor(option: string, expected: string, received: unknown) {
    super('INVALID_OPTION', `${option}: expected ${expected}, received ${describeValue(received)}`);
    this.option = option;
  }
}

function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return `an object (${value.constructor?.name ?? 'no prototype'})`;
  if (typeof value === 'bigint') return `${value}n`;
  return String(value);
}

/** A call that the state it was made in does not allow. */
export class IllegalStateError extends KafkaWorkerError {
  constructor(message: string) {
    super('ILLEGAL_STATE', message);
  }
}

/** An optional package that is needed here is not installed; the message has the command that installs it. */
export class MissingDependencyError extends KafkaWorkerError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('MISSING_DEPENDENCY', message, options);
  }
}

/** No broker could be reached in time. */
export class ConnectionError extends KafkaWorkerError {
  readonly brokers: readonly string[];

  constructor(message: string, options: { brokers: readonly string[]; cause?: unknown }) {
    super('CONNECTION', message, { retriable: true, cause: options.cause });
    this.brokers = options.brokers;
  }
}

/**
 * The broker, or the TLS layer below it, does not accept who we say we are (or we do not accept who it is). Retriable only while a token provider
 * fails and the token before is still good.
 */
export class AuthenticationError extends KafkaWorkerError {
  constructor(message: string, options: { retriable?: boolean; cause?: unknown } = {}) {
    super('AUTHENTICATION', message, options);
  }
}

/** We are who we say, and may not do this. */
export class AuthorizationError extends KafkaWorkerError {
  /** The operation that is not allowed, in Kafka's words; undefined where Kafka does not tell. */
  readonly operation: string | undefined;
  /** The topic that it is about, or several of which one is meant; empty when it is about something else, or Kafka does not tell. */
  readonly topics: readonly string[];
  /** The group that it is about. */
  readonly groupId: string | undefined;

  constructor(
    message: string,
    options: { operation?: string; topics?: readonly string[]; groupId?: string; cause?: unknown } = {},
  ) {
    super('AUTHORIZATION', message, options);
    this.operation = options.operation;
    this.topics = options.topics ?? [];
    this.groupId = options.groupId;
  }
}

/** The broker is too old, or has switched off what is needed. */
export class UnsupportedBrokerError extends KafkaWorkerError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('UNSUPPORTED_BROKER', message, options);
  }
}

/** A topic that was named does not exist, or may not be seen. */
export class UnknownTopicError extends KafkaWorkerError {
  readonly topics: readonly string[];

  constructor(topics: readonly string[], options: { cause?: unknown } = {}) {
    const names = topics.map((topic) => JSON.stringify(topic)).join(', ');
    super(
      'UNKNOWN_TOPIC',
      `unknown topic ${names}: create it first, or check the name and this user's rights`,
      options,
    );
    this.topics = topics;
  }
}

/** Reading from Kafka failed. */
export class PollError extends KafkaWorkerError {
  constructor(message: string, options: { retriable?: boolean; cause?: unknown } = {}) {
    super('POLL', message, options);
  }
}

/** Why a partition's offset could not be committed. */
export type CommitFailure = TopicPartition & {
  readonly offset: number;
  /** Kafka's error code, or librdkafka's (negative). */
  readonly kafkaCode: number;
  readonly reason: string;
};

/** A message that can never be written, so that its record cannot be committed with it. `send` is what the delivery was given. */
export interface UnwritableSend extends TopicPartition {
  readonly send: { readonly offset: number; readonly message: OutgoingRecord };
  readonly error: Error;
}

/** Offsets were not committed. The partitions that `failures` does not name were. */
export class CommitError extends KafkaWorkerError {
  readonly failures: readonly CommitFailure[];
  /** Why nothing was committed, where messages that belong to it are the reason; empty otherwise. */
  readonly unwritable: readonly UnwritableSend[];

  constructor(
    failures: readonly CommitFailure[],
    options: { retriable: boolean; cause?: unknown; unwritable?: readonly UnwritableSend[] },
  ) {
    const list = failures.map((f) => `${f.topic}/${f.partition} at ${f.offset}: ${f.reason} (${f.kafkaCode})`);
    super('COMMIT', `commit failed for ${list.join('; ')}`, options);
    this.failures = failures;
    this.unwritable = options.unwritable ?? [];
  }
}

/** A message could not be produced. */
export class ProduceError extends KafkaWorkerError {
  readonly topic: string;

  constructor(topic: string, message: string, options: { retriable?: boolean; cause?: unknown } = {}) {
    super('PRODUCE', message, options);
    this.topic = topic;
  }
}

/** A call of a transactional producer failed. */
export class TransactionError extends KafkaWorkerError {
  /**
   * `retriable`: the same call again. `abortable`: abort, and begin again. `fatal`: this producer is of no more use; what became of a commit tells the
   * group's offsets, once a new one with the same id is initialised.
   */
  readonly kind: 'retriable' | 'abortable' | 'fatal';
  /** Kafka's error code, or librdkafka's (negative). */
  readonly kafkaCode: number;

  constructor(
    kind: 'retriable' | 'abortable' | 'fatal',
    message: string,
    options: { kafkaCode: number; cause?: unknown },
  ) {
    super('TRANSACTION', message, { retriable: kind === 'retriable', cause: options.cause });
    this.kind = kind;
    this.kafkaCode = options.kafkaCode;
  }
}

/** The stop's time was up before everything that ran had ended. */
export class ShutdownTimeoutError extends KafkaWorkerError {
  constructor(message: string) {
    super('SHUTDOWN_TIMEOUT', message);
  }
}

/** `onAssigned` or `onRevoked` failed, or took longer than it may: the state that it keeps is not what the partitions need, so the worker ends. */
export class AssignmentHookError extends KafkaWorkerError {
  readonly hook: 'onAssigned' | 'onRevoked';

  constructor(hook: 'onAssigned' | 'onRevoked', what: string, cause?: unknown) {
    super('ASSIGNMENT_HOOK', `${hook} ${what}${cause === undefined ? '' : `: ${toError(cause).message}`}`, { cause });
    this.hook = hook;
  }
}

/** The Kafka client itself failed for good. */
export class ClientError extends KafkaWorkerError {
  constructor(message: string, options: { retriable?: boolean; cause?: unknown } = {}) {
    super('CLIENT', message, options);
  }
}
