import {
  AuthenticationError,
  AuthorizationError,
  ClientError,
  ConnectionError,
  PollError,
  UnsupportedBrokerError,
} from '../errors.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';

/** An error as the native client gives it; `code` is Kafka's own when positive and librdkafka's when negative. */
export interface NativeError {
  readonly code: number;
  readonly message: string;
}

/** librdkafka's and Kafka's error codes that are looked at by name. */
export const nativeCode = {
  fatal: -150,
  maxPollExceeded: -147,
  fenced: -144,
  noOffsetReset: -140,
  state: -172,
  timedOut: -185,
  queueFull: -184,
  unknownGroup: -179,
  waitCoordinator: -180,
  unknownPartition: -190,
  transport: -195,
  allBrokersDown: -187,
  unknownTopicOrPartition: 3,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  fencedInstanceId: 82,
} as const;

/** Waiting helps: a leader or coordinator moves, a broker is away or the client has thrown its handle of one away, a rebalance is under way. */
const retriableCodes: ReadonlySet<number> = new Set([
  -195, -193, -192, -187, -185, -180, -167, -166, -153, -146, -137, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 27, 41, 51,
  56, 74, 75, 78, 79, 88, 89, 113,
]);
const unreachableCodes: ReadonlySet<number> = new Set([-195, -193, -187, -137]);
const authorizationCodes: ReadonlySet<number> = new Set([29, 30, 31, 53]);
const authenticationCodes: ReadonlySet<number> = new Set([-169, -181, 33, 34, 58]);
const unsupportedCodes: ReadonlySet<number> = new Set([-165, 35]);
const deadClientCodes: ReadonlySet<number> = new Set([-150, -144, 82, 111]);
/** The whole request failed, not single partitions of it: asking again partition by partition would tell nothing. */
const groupCodes: ReadonlySet<number> = new Set([
  -195, -187, -185, -180, -179, -172, -166, -153, -150, -146, -144, -137, 7, 14, 15, 16, 22, 24, 25, 27, 30, 35, 82,
  113,
]);

/** Whether the same request can succeed when it is simply made again. */
export function isRetriableCode(code: number): boolean {
  return retriableCodes.has(code);
}

/** Whether an error of a commit holds for every partition in it. */
export function isGroupLevelCode(code: number): boolean {
  return groupCodes.has(code);
}

/** Anything that a native call threw or gave back, with its code where it has one. */
export function toNativeError(thrown: unknown): NativeError {
  if (typeof thrown === 'object' && thrown !== null) {
    const { code, message } = thrown as { code?: unknown; message?: unknown };
    return {
      code: typeof code === 'number' ? code : -1,
      message: typeof message === 'string' ? message : 'unknown error',
    };
  }
  return { code: typeof thrown === 'number' ? thrown : -1, message: String(thrown) };
}

/** The named error for what a request to the cluster failed with. `what` begins the sentence: "committed offsets cannot be read". */
export function requestError(thrown: unknown, what: string, brokers: readonly string[]): KafkaWorkerError {
  const error = toNativeError(thrown);
  const message = `${what}: ${error.message} (${error.code})`;
  const cause = thrown;
  if (unreachableCodes.has(error.code)) return new ConnectionError(message, { brokers, cause });
  return named(error, message, cause) ?? new ClientError(message, { retriable: isRetriableCode(error.code), cause });
}

/** The named error for what reading failed with. Nothing that was read is lost by it. */
export function consumeError(thrown: unknown, brokers: readonly string[]): KafkaWorkerError {
  const error = toNativeError(thrown);
  const cause = thrown;
  if (error.code === nativeCode.maxPollExceeded) {
    const message =
      'the client was not served within max.poll.interval.ms, so its partitions went to other members: was the event loop blocked?';
    return new PollError(message, { retriable: true, cause });
  }
  if (error.code === nativeCode.unknownTopicOrPartition || error.code === nativeCode.unknownPartition) {
    const message = `a subscribed topic or one of its partitions is not there (any more): ${error.message} (${error.code})`;
    return new PollError(message, { retriable: true, cause });
  }
  const message = `reading failed: ${error.message} (${error.code})`;
  if (unreachableCodes.has(error.code)) return new ConnectionError(message, { brokers, cause });
  // Whatever librdkafka does not call fatal it goes on trying by itself.
  return named(error, message, cause) ?? new PollError(message, { retriable: true, cause });
}

function named(error: NativeError, message: string, cause: unknown): KafkaWorkerError | undefined {
  if (authenticationCodes.has(error.code)) return new AuthenticationError(message, { cause });
  if (authorizationCodes.has(error.code)) return new AuthorizationError(message, { cause });
  if (unsupportedCodes.has(error.code)) return new UnsupportedBrokerError(message, { cause });
  if (deadClientCodes.has(error.code)) return new ClientError(message, { cause });
  return undefined;
}
