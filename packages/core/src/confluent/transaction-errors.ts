import { AuthenticationError, AuthorizationError, ProduceError, TransactionError } from '../errors.ts';
import { isKafkaWorkerError } from '../kafka-worker-error.ts';
import { nativeCode, toNativeError } from './client-errors.ts';

/** Kafka's code. */
const ID_REFUSED = 53;

interface Flags {
  readonly isFatal?: unknown;
  readonly isRetriable?: unknown;
  readonly isTxnRequiresAbort?: unknown;
}

/**
 * What a transactional call of the native client failed with, by the flags that the client gives. Whatever has none of them leaves the client in a state
 * that nobody knows, so it counts as fatal: a new one finds out.
 */
export function transactionError(what: string, thrown: unknown): Error {
  if (thrown instanceof AuthorizationError || thrown instanceof AuthenticationError) return thrown;
  // What was refused on our side says by itself how to go on; the client's wrapping of it has it as its cause.
  for (const one of [thrown, isKafkaWorkerError(thrown) ? thrown.cause : undefined])
    if (one instanceof TransactionError || (isKafkaWorkerError(one) && one.code === 'ILLEGAL_STATE')) return one;
  // The named error of a request has the native one as its cause; a call without any answer has none.
  const native = isKafkaWorkerError(thrown) ? thrown.cause : thrown;
  const { code, message } = toNativeError(native ?? thrown);
  const kafkaCode = native === undefined ? nativeCode.timedOut : code;
  return new TransactionError(kindOf(native, kafkaCode), `${what}: ${message} (${kafkaCode})`, {
    kafkaCode,
    cause: thrown,
  });
}

function kindOf(native: unknown, code: number): TransactionError['kind'] {
  const flags: Flags = typeof native === 'object' && native !== null ? native : {};
  if (flags.isFatal === true || code === nativeCode.fatal || code === nativeCode.fenced) return 'fatal';
  if (flags.isTxnRequiresAbort === true) return 'abortable';
  return flags.isRetriable === true ? 'retriable' : 'fatal';
}

/** Whether the broker does not let this user write with the producer's id. */
export function isIdRefusal(thrown: unknown): boolean {
  return thrown instanceof AuthorizationError && toNativeError(thrown.cause).code === ID_REFUSED;
}

/** The broker will say the same of this message for ever: no such topic or partition, too large, not allowed, not valid. */
const permanentCodes: ReadonlySet<number> = new Set([-190, -188, 2, 3, 10, 17, 18, 29, 44, 87]);

/** Whether a message can be written at all is all that counts of it; everything else is about its transaction. */
export function transactionalSendError(thrown: unknown): unknown {
  if (!(thrown instanceof ProduceError) || thrown.retriable) return thrown;
  if (thrown.cause === undefined || permanentCodes.has(toNativeError(thrown.cause).code)) return thrown;
  return new ProduceError(thrown.topic, thrown.message, { retriable: true, cause: thrown.cause });
}
