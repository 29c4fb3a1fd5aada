import { NonRetriableError, RetriableError } from '../handler-errors.ts';
import { type ErrorCode, isKafkaWorkerError, KafkaWorkerError } from '../kafka-worker-error.ts';

/** So many causes are carried along. */
const MAX_DEPTH = 5;

/** What was thrown, in a form that goes from thread to thread. */
export type CrossingError =
  | {
      readonly is: 'error';
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      readonly code: unknown;
      readonly cause: CrossingError | undefined;
      /** Of an error of this library. */
      readonly own: { readonly retriable: boolean; readonly retryAfterMs: number | undefined } | undefined;
    }
  | { readonly is: 'value'; readonly value: unknown };

/** Anything that can be thrown; what cannot be cloned becomes text. */
export function toCrossing(thrown: unknown, depth = 0): CrossingError {
  if (!isErrorLike(thrown)) return { is: 'value', value: cloneable(thrown) };
  const { name, message, stack, cause, code } = thrown;
  const { retryAfterMs } = thrown as { readonly retryAfterMs?: number };
  return {
    is: 'error',
    ...{ name: String(name), message: String(message), stack: typeof stack === 'string' ? stack : undefined },
    code: typeof code === 'string' || typeof code === 'number' ? code : undefined,
    cause: cause === undefined || depth === MAX_DEPTH ? undefined : toCrossing(cause, depth + 1),
    own: isKafkaWorkerError(thrown) ? { retriable: thrown.retriable, retryAfterMs } : undefined,
  };
}

/** The same in this thread: an error with its name, message, stack and code, of the library's own class where policies look at it. */
export function fromCrossing(crossing: CrossingError): unknown {
  if (crossing.is === 'value') return crossing.value;
  const { name, message, stack, code, own } = crossing;
  const cause = crossing.cause === undefined ? undefined : fromCrossing(crossing.cause);
  const options = cause === undefined ? {} : { cause };
  const error = own === undefined ? new Error(message, options) : ownError(message, code as ErrorCode, own, options);
  // As properties of an error are: not among those that are listed.
  const hidden = (value: unknown): PropertyDescriptor => ({ value, writable: true, configurable: true });
  Object.defineProperty(error, 'name', hidden(name));
  if (stack !== undefined) Object.defineProperty(error, 'stack', hidden(stack));
  if (own === undefined && code !== undefined) Object.assign(error, { code });
  return error;
}

function ownError(
  message: string,
  code: ErrorCode,
  { retriable, retryAfterMs }: { readonly retriable: boolean; readonly retryAfterMs: number | undefined },
  options: { readonly cause?: unknown },
): Error {
  if (code === 'NON_RETRIABLE') return new NonRetriableError(message, options);
  if (code === 'RETRIABLE')
    return new RetriableError(message, { ...options, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
  return new KafkaWorkerError(code, message, { ...options, retriable });
}

/** By what it has, not by its class: every thread, and every copy of the package, has classes of its own. */
function isErrorLike(thrown: unknown): thrown is Record<keyof Error | 'code', unknown> {
  return typeof thrown === 'object' && thrown !== null && 'message' in thrown && 'name' in thrown;
}

function cloneable(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return String(value);
  }
}
