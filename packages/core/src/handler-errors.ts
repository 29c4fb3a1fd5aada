import { KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { TopicPartition } from './record.ts';

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
