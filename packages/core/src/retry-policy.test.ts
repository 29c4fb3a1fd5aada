import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { retryThenStopPolicy, stopPolicy } from './defaults.ts';
import type { Failure, FailurePolicy } from './failure.ts';
import { DeserializationError, NonRetriableError, RetriableError } from './handler-errors.ts';
import { noHeaders, OwnedRecord } from './record.ts';
import { type Backoff, backoffMs, retryPolicy } from './retry-policy.ts';

const record = new OwnedRecord('t', 0, 7, 0, null, null, noHeaders);
const skip: FailurePolicy = { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip', log: true }) };
const failure = (rest: Partial<Failure> = {}): Failure => ({
  ...{ record, error: new Error('no'), attempt: 1, firstFailedAt: 1_000, random: 0 },
  ...rest,
});

describe('retryPolicy', () => {
  it('waits half a second, twice as long each time, and does what comes then after the fifth attempt', () => {
    const policy = retryPolicy({ then: skip, backoff: { jitter: 0 } });
    const decisions = [1, 2, 3, 4, 5, 6].map((attempt) => policy.decide(failure({ attempt }), 1_000));
    expect(decisions).toEqual([
      ...[500, 1_000, 2_000, 4_000].map((afterMs) => ({ do: 'retry', afterMs })),
      ...[
        { do: 'skip', log: true },
        { do: 'skip', log: true },
      ],
    ]);
  });

  it('takes what is undefined in the backoff as not given', () => {
    const nothing = { initialMs: undefined, maxMs: undefined, factor: undefined, jitter: undefined };
    const policy = retryPolicy({ then: skip, backoff: nothing as unknown as Backoff });
    for (const attempt of [1, 2, 3, 4])
      expect(policy.decide(failure({ attempt, random: 1 }), 1_000)).toEqual({
        do: 'retry',
        afterMs: 125 * 2 ** attempt,
      });
  });

  it('makes the number of attempts the number of calls, the first one included', () => {
    expect(retryPolicy({ maxAttempts: 1, then: skip }).decide(failure(), 1_000)).toEqual({ do: 'skip', log: true });
    const endless = retryPolicy({ maxAttempts: Number.POSITIVE_INFINITY, then: skip });
    expect(endless.decide(failure({ attempt: 1_000_000 }), 1_000)).toEqual({ do: 'retry', afterMs: 30_000 });
  });

  it('takes away up to the part of the wait that may be random', () => {
    const policy = retryPolicy({ then: skip, backoff: { initialMs: 1_000, jitter: 0.4 } });
    expect(policy.decide(failure({ random: 0 }), 1_000)).toEqual({ do: 'retry', afterMs: 1_000 });
    expect(policy.decide(failure({ random: 0.5 }), 1_000)).toEqual({ do: 'retry', afterMs: 800 });
  });

  it('begins no attempt later than maxElapsedMs after the first failure', () => {
    const policy = retryPolicy({ maxAttempts: 99, maxElapsedMs: 5_000, then: skip, backoff: { jitter: 0 } });
    expect(policy.decide(failure({ attempt: 2 }), 5_000)).toEqual({ do: 'retry', afterMs: 1_000 });
    expect(policy.decide(failure({ attempt: 2 }), 5_001)).toEqual({ do: 'skip', log: true });
  });

  it.each<[string, Error]>([
    ['NonRetriableError', new NonRetriableError('never')],
    ['DeserializationError', new DeserializationError(record, 'value', new Error('bad'))],
  ])('does what comes then at once for a %s, whatever `when` says', (_name, error) => {
    const policy = retryPolicy({ then: skip, when: () => true });
    expect(policy.decide(failure({ error }), 1_000)).toEqual({ do: 'skip', log: true });
  });

  it('asks `when` about every other error, also about values that are none', () => {
    const asked: unknown[] = [];
    const policy = retryPolicy({ then: skip, when: (error) => asked.push(error) > 1 });
    expect(policy.decide(failure({ error: 'text' }), 1_000).do).toBe('skip');
    expect(policy.decide(failure({ error: undefined }), 1_000).do).toBe('retry');
    expect(asked).toEqual(['text', undefined]);
  });

  it('waits as long as a RetriableError asks for, also longer than the backoff would', () => {
    const policy = retryPolicy({ then: skip });
    const decide = (retryAfterMs?: number): unknown =>
      policy.decide(
        failure({ error: new RetriableError('later', retryAfterMs === undefined ? {} : { retryAfterMs }), random: 0 }),
        1_000,
      );
    expect(decide(60_000)).toEqual({ do: 'retry', afterMs: 60_000 });
    expect(decide(0)).toEqual({ do: 'retry', afterMs: 0 });
    for (const nonsense of [undefined, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(decide(nonsense)).toEqual({ do: 'retry', afterMs: 500 });
  });

  it('hands the failure on to what comes then, unchanged', () => {
    const seen: unknown[] = [];
    const then: FailurePolicy = {
      ...skip,
      decide: (...args) => (seen.push(args) > 0 ? { do: 'stop' } : { do: 'skip' }),
    };
    const given = failure({ attempt: 9 });
    expect(retryPolicy({ then }).decide(given, 77)).toEqual({ do: 'stop' });
    expect(seen).toEqual([[given, 77]]);
    expect(retryPolicy({ then: retryPolicy({ then: skip }) }).name).toBe('retry then retry then skip');
  });

  it('never waits longer than maxMs nor less than jitter leaves, for any backoff and attempt', () => {
    const backoff = fc.record({
      initialMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      maxMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(backoff, fc.integer({ min: 1, max: 5_000 }), random, (given, attempt, r) => {
        const waitMs = backoffMs(given, attempt, r);
        const withoutJitter = backoffMs({ ...given, jitter: 0 }, attempt, r);
        expect(waitMs).toBeLessThanOrEqual(given.maxMs);
        expect(waitMs).toBeLessThanOrEqual(withoutJitter);
        expect(waitMs).toBeGreaterThanOrEqual(withoutJitter * (1 - given.jitter) * 0.999_999);
        expect(backoffMs({ ...given, jitter: 0 }, attempt + 1, r)).toBeGreaterThanOrEqual(withoutJitter);
      }),
      { examples: [[{ initialMs: 0, maxMs: 30_000, factor: 2, jitter: 0.5 }, 2_000, 0.5]] },
    );
  });
});

describe('the default policy', () => {
  it('makes five attempts, then stops the worker', () => {
    const decisions = [1, 2, 3, 4, 5].map((attempt) => retryThenStopPolicy.decide(failure({ attempt }), 1_000).do);
    expect(decisions).toEqual(['retry', 'retry', 'retry', 'retry', 'stop']);
    expect(stopPolicy.decide(failure(), 1_000)).toEqual({ do: 'stop' });
  });
});
