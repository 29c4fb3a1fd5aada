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
