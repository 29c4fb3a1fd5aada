import { describe, expect, it } from '@jest/globals';
import type { Decision, Failure, FailurePolicy, KafkaRecord, RetryOptions } from '@kafka-worker/core';
import { DeserializationError, InvalidOptionError, NonRetriableError, RetriableError } from '@kafka-worker/core';
import { retry } from './retry.ts';
import { skip } from './skip.ts';
import { stop } from './stop.ts';

const record = { topic: 't', partition: 0, offset: 7 } as KafkaRecord;

function decide(policy: FailurePolicy, failure: Partial<Failure> = {}, now = 1_000): Decision {
  return policy.decide(
    { record, error: new Error('no'), attempt: 1, firstFailedAt: 1_000, random: 0, ...failure },
    now,
  );
}

describe('skip', () => {
  it('passes the record over, with a line in the log unless told otherwise', () => {
    expect(decide(skip())).toEqual({ do: 'skip', log: true });
    expect(decide(skip({ log: false }))).toEqual({ do: 'skip', log: false });
  });

  it('refuses a log that is no boolean', () => {
    expect(() => skip({ log: 'yes' as unknown as boolean })).toThrow(
      'skip.log: expected true or false, received "yes"',
    );
  });
});

describe('stop', () => {
  it('ends the worker at the first failure', () => {
    expect(decide(stop())).toEqual({ do: 'stop' });
  });
});

describe('retry', () => {
  const exact = { jitter: 0 };

  it('waits longer from attempt to attempt, up to the longest wait', () => {
    const policy = retry({
      maxAttempts: 10,
      backoff: { initialMs: 100, factor: 3, maxMs: 1_000, ...exact },
      then: stop(),
    });
    const waits = [1, 2, 3, 4, 5].map((attempt) => decide(policy, { attempt }));
    expect(waits).toEqual([100, 300, 900, 1_000, 1_000].map((afterMs) => ({ do: 'retry', afterMs })));
  });

  it('starts with half a second, doubled each time up to 30 seconds', () => {
    const policy = retry({ maxAttempts: 100, backoff: exact, then: stop() });
    expect([1, 2, 3, 20].map((attempt) => decide(policy, { attempt }))).toEqual(
      [500, 1_000, 2_000, 30_000].map((afterMs) => ({ do: 'retry', afterMs })),
    );
  });

  it('never waits when the first wait is zero, however many attempts there are', () => {
    const policy = retry({ maxAttempts: 10_000, backoff: { initialMs: 0, factor: 10 }, then: stop() });
    expect([1, 2, 5_000].map((attempt) => decide(policy, { attempt }))).toEqual(
      [0, 0, 0].map((afterMs) => ({ do: 'retry', afterMs })),
    );
  });

  it('makes five attempts in all, then does what comes then', () => {
    const policy = retry({ then: skip() });
    expect(decide(policy, { attempt: 4 })).toMatchObject({ do: 'retry' });
    expect(decide(policy, { attempt: 5 })).toEqual({ do: 'skip', log: true });
  });

  it('makes no retry at all with one attempt', () => {
    expect(decide(retry({ maxAttempts: 1, then: stop() }))).toEqual({ do: 'stop' });
  });

  it('begins no retry after maxElapsedMs', () => {
    const policy = retry({
      maxAttempts: 100,
      maxElapsedMs: 1_000,
      backoff: { initialMs: 400, ...exact },
      then: stop(),
    });
    expect(decide(policy, {}, 1_600)).toEqual({ do: 'retry', afterMs: 400 });
    expect(decide(policy, {}, 1_601)).toEqual({ do: 'stop' });
  });

  it('retries only what `when` says', () => {
    const policy = retry({ when: (error) => error === 'again', then: stop() });
    expect(decide(policy, { error: 'again' })).toMatchObject({ do: 'retry' });
    expect(decide(policy, { error: 'never' })).toEqual({ do: 'stop' });
  });

  it('never retries errors that say that another attempt is of no use, whatever `when` says', () => {
    const policy = retry({ when: () => true, then: stop() });
    expect(decide(policy, { error: new NonRetriableError('no') })).toEqual({ do: 'stop' });
    expect(decide(policy, { error: new DeserializationError(record, 'value', 'not JSON') })).toEqual({ do: 'stop' });
  });

  it('waits as long as a RetriableError asks for', () => {
    const policy = retry({ then: stop() });
    expect(decide(policy, { error: new RetriableError('busy', { retryAfterMs: 12_345 }) })).toEqual({
      do: 'retry',
      afterMs: 12_345,
    });
  });

  it('goes on from one retry to the next', () => {
    const policy = retry({ maxAttempts: 2, then: retry({ maxAttempts: 4, backoff: exact, then: stop() }) });
    expect([1, 2, 3, 4].map((attempt) => decide(policy, { attempt }).do)).toEqual(['retry', 'retry', 'retry', 'stop']);
  });

  const wrong: [string, unknown][] = [
    ['retry', undefined],
    ['retry.then', {}],
    ['retry.then', { then: { kind: 'concurrency' } }],
    ['retry.maxAttempts', { maxAttempts: 0, then: stop() }],
    ['retry.maxAttempts', { maxAttempts: 2.5, then: stop() }],
    ['retry.maxElapsedMs', { maxElapsedMs: -1, then: stop() }],
    ['retry.backoff', { backoff: 500, then: stop() }],
    ['retry.backoff.initialMs', { backoff: { initialMs: Number.NaN }, then: stop() }],
    ['retry.backoff.maxMs', { backoff: { maxMs: '1s' }, then: stop() }],
    ['retry.backoff.factor', { backoff: { factor: 0.5 }, then: stop() }],
    ['retry.backoff.jitter', { backoff: { jitter: 1.1 }, then: stop() }],
    ['retry.when', { when: true, then: stop() }],
  ];
  it.each(wrong)('refuses a wrong %s', (option, options) => {
    const make = (): FailurePolicy => retry(options as RetryOptions);
    expect(make).toThrow(InvalidOptionError);
    expect(make).toThrow(`${option}: expected`);
  });
});
