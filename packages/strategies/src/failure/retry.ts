import type { FailurePolicy, RetryOptions } from '@kafka-worker/core';
import { InvalidOptionError, retryPolicy } from '@kafka-worker/core';
import { checkOptions, checkPolicy, checkRange, checkWhole } from '../option-checks.ts';

/**
 * The same call again, after a wait that grows from attempt to attempt, and `then` another policy. Only the record's own lane waits.
 * `NonRetriableError`, `DeserializationError` and `LaneError` go on to `then` at once, whatever `when` says. A `RetriableError` can say how long to
 * wait.
 * @throws InvalidOptionError
 */
export function retry(options: RetryOptions): FailurePolicy {
  checkOptions('retry', options, ['maxAttempts', 'maxElapsedMs', 'backoff', 'when', 'then']);
  const { maxAttempts, maxElapsedMs, backoff = {}, when } = options;
  checkWhole('retry.maxAttempts', maxAttempts, 1);
  // Infinity says the same as leaving it out.
  if (maxElapsedMs !== Number.POSITIVE_INFINITY) checkRange('retry.maxElapsedMs', maxElapsedMs, 0);
  checkOptions('retry.backoff', backoff, ['initialMs', 'maxMs', 'factor', 'jitter']);
  checkRange('retry.backoff.initialMs', backoff.initialMs, 0);
  checkRange('retry.backoff.maxMs', backoff.maxMs, 0);
  checkRange('retry.backoff.factor', backoff.factor, 1);
  checkRange('retry.backoff.jitter', backoff.jitter, 0, 1);
  if (when !== undefined && typeof when !== 'function') {
    throw new InvalidOptionError('retry.when', 'a function of the error', when);
  }
  checkPolicy('retry.then', options.then);
  return retryPolicy(options);
}
