import type { Decision, Failure, FailurePolicy, PolicyAction } from './failure.ts';
import { isKafkaWorkerError } from './kafka-worker-error.ts';

/** How long to wait between attempts. */
export interface Backoff {
  /** @defaultValue 500 */
  readonly initialMs?: number;
  /** @defaultValue 30_000 */
  readonly maxMs?: number;
  /** What each wait is multiplied by for the next. @defaultValue 2 */
  readonly factor?: number;
  /** The part of a wait that is random, from 0 (none) to 1 (all of it). @defaultValue 0.5 */
  readonly jitter?: number;
}

/** Start with `maxAttempts` and `then`. */
export interface RetryOptions {
  /** Calls in all, the first one included. @defaultValue 5 */
  readonly maxAttempts?: number;
  /** No retry is begun later than this after the first failure. @defaultValue no limit */
  readonly maxElapsedMs?: number;
  readonly backoff?: Backoff;
  /**
   * Which errors are worth another attempt. Not asked about `NonRetriableError`, `DeserializationError` and `LaneError`, which are never retried.
   * @defaultValue all others
   */
  readonly when?: (error: unknown) => boolean;
  /** What happens when there is no further attempt. */
  readonly then: FailurePolicy;
}

/** The wait before the attempt that follows attempt number `attempt`. */
export function backoffMs(backoff: Required<Backoff>, attempt: number, random: number): number {
  // Nothing stays nothing, also when the factor's power has become infinite.
  const full =
    backoff.initialMs === 0 ? 0 : Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** (attempt - 1));
  return full * (1 - backoff.jitter * random);
}

/** Options as they come out of validation: this function takes them as valid. */
export function retryPolicy(options: RetryOptions): FailurePolicy {
  const { maxAttempts = 5, maxElapsedMs = Number.POSITIVE_INFINITY, then } = options;
  const when = options.when ?? isWorthARetry;
  const { initialMs = 500, maxMs = 30_000, factor = 2, jitter = 0.5 } = options.backoff ?? {};
  const backoff: Required<Backoff> = { initialMs, maxMs, factor, jitter };
  return {
    kind: 'failure',
    name: `retry then ${then.name}`,
    maxAttempts,
    ...(then.may === undefined ? {} : { may: [...new Set<PolicyAction>(['retry', ...then.may])] }),
    decide(failure: Failure, now: number): Decision {
      if (failure.attempt >= maxAttempts || neverRetried(failure.error) || !when(failure.error))
        return then.decide(failure, now);
      const afterMs = askedDelayMs(failure.error) ?? backoffMs(backoff, failure.attempt, failure.random);
      if (now + afterMs - failure.firstFailedAt > maxElapsedMs) return then.decide(failure, now);
      return { do: 'retry', afterMs };
    },
  };
}

const HOPELESS: ReadonlySet<string> = new Set(['NON_RETRIABLE', 'DESERIALIZATION', 'LANE']);

function isWorthARetry(): boolean {
  return true;
}

/** Errors that say themselves that another attempt is of no use; `when` cannot overrule them. */
function neverRetried(error: unknown): boolean {
  return isKafkaWorkerError(error) && HOPELESS.has(error.code);
}

function askedDelayMs(error: unknown): number | undefined {
  if (!isKafkaWorkerError(error) || error.code !== 'RETRIABLE') return undefined;
  const asked = (error as { readonly retryAfterMs?: unknown }).retryAfterMs;
  return typeof asked === 'number' && Number.isFinite(asked) && asked >= 0 ? asked : undefined;
}
