import type { OutgoingRecord, TopicPartition } from './record.ts';

const brand = Symbol.for('@kafka-worker/error');

/** Every code that an error of this library can have; each has a row in docs/errors.md. */
export type ErrorCode =
  | 'INVALID_OPTION'
  | 'ILLEGAL_STATE'
  | 'MISSING_DEPENDENCY'
  | 'CONNECTION'
  | 'AUTHENTICATION'
  | 'AUTHORIZATION'
  | 'UNSUPPORTED_BROKER'
  | 'UNKNOWN_TOPIC'
  | 'OFFSET_OUT_OF_RANGE'
  | 'LOG_TRUNCATED'
  | 'CORRUPT_RECORD'
  | 'POLL'
  | 'COMMIT'
  | 'PRODUCE'
  | 'TRANSACTION'
  | 'HANDLER'
  | 'DEAD_LETTER_BRAKE'
  | 'DESERIALIZATION'
  | 'HANDLER_TIMEOUT'
  | 'LANE'
  | 'NON_RETRIABLE'
  | 'RETRIABLE'
  | 'SHUTDOWN_TIMEOUT'
  | 'STUCK_HANDLER'
  | 'ASSIGNMENT_HOOK'
  | 'CLIENT';

/** The base of every error that this library makes. */
export class KafkaWorkerError extends Error {
  readonly code: ErrorCode;
  /** Whether the same operation can succeed when it is repeated without a change by a person. */
  readonly retriable: boolean;

  constructor(code: ErrorCode, message: string, options: { retriable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retriable = options.retriable ?? false;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether a value is an error of this library, also one made by another copy of the package. */
export function isKafkaWorkerError(value: unknown): value is KafkaWorkerError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true;
}

/** Whatever was thrown, as an Error; a value that is none becomes the cause of one. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error || isKafkaWorkerError(thrown)) return thrown;
  let text: string;
  try {
    text = typeof thrown === 'string' ? thrown : (JSON.stringify(thrown) ?? String(thrown));
  } catch {
    text = Object.prototype.toString.call(thrown);
  }
  return new Error(`a value that is not an Error was thrown: ${text}`, { cause: thrown });
}

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

/** The offset where a partition should go on is not in its log: records between were deleted, or the log was cut. */
export class OffsetOutOfRangeError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The first offset that the log has. */
  readonly earliest: number;
  /** The log's end: the offset that its next record will get. */
  readonly latest: number;

  constructor(position: TopicPartition & { offset: number }, range: { earliest: number; latest: number }) {
    const { topic, partition, offset } = position;
    super(
      'OFFSET_OUT_OF_RANGE',
      `${topic}/${partition}: offset ${offset} is outside the log, which has ${range.earliest} to ${range.latest}. ` +
        `Nothing was skipped. Commit another offset for the group, or choose with onOffsetOutOfRange: 'earliest' or 'latest'`,
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.earliest = range.earliest;
    this.latest = range.latest;
  }
}

/**
 * The log is not the one that was read before: its leader has lost what others had (an unclean election), or the topic was deleted and created anew.
 * What stands below `offset` now was never read from `divergesAt` on.
 */
export class LogTruncatedError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The offset that reading had come to. */
  readonly offset: number;
  /** The offset from which on the log is another one. */
  readonly divergesAt: number;

  constructor(position: TopicPartition & { offset: number }, divergesAt: number, why: string) {
    const { topic, partition, offset } = position;
    super(
      'LOG_TRUNCATED',
      `${topic}/${partition}: reading had come to offset ${offset}, and from offset ${divergesAt} on the log is another one now: ${why}. ` +
        `Nothing was skipped. Commit offset ${divergesAt} for the group to handle what stands there now, or a later one`,
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.divergesAt = divergesAt;
  }
}

/** What a broker has of these records cannot be read: their checksum is wrong, say. */
export class CorruptRecordError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The first offset that cannot be read. */
  readonly offset: number;
  /** The last one of its batch, as far as the batch can be believed. */
  readonly lastOffset: number;

  constructor(place: TopicPartition & { offset: number }, lastOffset: number, reason: string) {
    const { topic, partition, offset } = place;
    super(
      'CORRUPT_RECORD',
      `${topic}/${partition}: offsets ${offset} to ${lastOffset} cannot be read: ${reason}. Nothing was skipped. ` +
        `To go on without them commit offset ${lastOffset + 1} for the group`,
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.lastOffset = lastOffset;
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

/** The handler failed and the policy said stop. The `cause` is what the handler threw. */
export class HandlerError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly attempt: number;

  constructor(record: TopicPartition & { offset: number }, attempt: number, cause: unknown) {
    const { topic, partition, offset } = record;
    const times = attempt === 1 ? 'in its first attempt' : `in attempt ${attempt}`;
    const place = `${topic}/${partition} offset ${offset}`;
    const { message } = toError(cause);
    // An error of ours may begin with the same place.
    const why = message.startsWith(`${place}: `) ? message.slice(place.length + 2) : message;
    super('HANDLER', `${place} failed ${times}: ${why}`, { cause });
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.attempt = attempt;
  }
}

/** Too many records would become dead letters to be right: the worker ends instead, with this record not done. */
export class DeadLetterBrakeError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;

  constructor(record: TopicPartition & { readonly offset: number }, why: string, cause: unknown) {
    const { topic, partition, offset } = record;
    super(
      'DEAD_LETTER_BRAKE',
      `${topic}/${partition} offset ${offset} is not written as a dead letter: ${why}. The last failure: ${toError(cause).message}`,
      { cause },
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
  }
}

/** A handler had not returned `handlerTimeoutMs` after it was called: the reason of its signal, and its record's failure, also if it succeeds late. */
export class HandlerTimeoutError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;

  constructor(record: TopicPartition & { readonly offset: number }, timeoutMs: number) {
    const { topic, partition, offset } = record;
    super(
      'HANDLER_TIMEOUT',
      `${topic}/${partition} offset ${offset}: its handler did not return within ${timeoutMs} ms`,
      {
        retriable: true,
      },
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
  }
}

/** A record's key or value is not what the deserializer takes. Never retried: the bytes will be the same. */
export class DeserializationError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly part: 'key' | 'value';

  constructor(record: TopicPartition & { offset: number }, part: 'key' | 'value', cause: unknown) {
    const { topic, partition, offset } = record;
    super(
      'DESERIALIZATION',
      `${topic}/${partition} offset ${offset}: its ${part} cannot be decoded: ${toError(cause).message}`,
      {
        cause,
      },
    );
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.part = part;
  }
}

/** A lane function (of `laneBy`, say) threw, or gave no string, for a record. Never retried: it sees the same record again. */
export class LaneError extends KafkaWorkerError implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;

  constructor(record: TopicPartition & { offset: number }, cause: unknown) {
    const { topic, partition, offset } = record;
    super('LANE', `${topic}/${partition} offset ${offset}: its lane is not known: ${toError(cause).message}`, {
      cause,
    });
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
  }
}

/** Thrown by a handler: trying again is of no use, `retry` goes on to what comes `then`. */
export class NonRetriableError extends KafkaWorkerError {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('NON_RETRIABLE', message, options);
  }
}

/** Thrown by a handler: trying again will help, after `retryAfterMs` if it is given. */
export class RetriableError extends KafkaWorkerError {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super('RETRIABLE', message, { retriable: true, cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The stop's time was up before everything that ran had ended. */
export class ShutdownTimeoutError extends KafkaWorkerError {
  constructor(message: string) {
    super('SHUTDOWN_TIMEOUT', message);
  }
}

/**
 * A handler has not returned, although its signal was aborted: its partition was revoked, or its time (`handlerTimeoutMs`) was up. It may still write,
 * so its partitions are kept until the end.
 */
export class StuckHandlerError extends KafkaWorkerError {
  readonly partitions: readonly TopicPartition[];

  constructor(partitions: readonly TopicPartition[], waitedMs: number, why: 'revoked' | 'timed out' = 'revoked') {
    const names = partitions.map(({ topic, partition }) => `${topic}/${partition}`).join(', ');
    super(
      'STUCK_HANDLER',
      `a handler of ${names}, ${why} ${Math.round(waitedMs)} ms ago, ignores its aborted signal. The worker ends, so that nobody handles the same ` +
        'records beside it: let the handler heed context.signal, or end the process',
    );
    this.partitions = partitions;
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
