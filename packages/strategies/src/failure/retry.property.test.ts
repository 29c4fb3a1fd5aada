import { describe, expect, it } from '@jest/globals';
import type { KafkaRecord } from '@kafka-worker/core';
import fc from 'fast-check';
import { retry } from './retry.ts';
import { stop } from './stop.ts';

const record = { topic: 't', partition: 0, offset: 0 } as KafkaRecord;

const backoffs = fc.record({
  initialMs: fc.integer({ min: 0, max: 60_000 }),
  maxMs: fc.integer({ min: 0, max: 120_000 }),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('retry', () => {
  it('never waits longer than maxMs, nor less than what jitter leaves of it', () => {
    fc.assert(
      fc.property(backoffs, fc.integer({ min: 1, max: 1_000 }), randoms, (backoff, attempt, random) => {
        const policy = retry({ maxAttempts: 10_000, backoff, then: stop() });
        const decision = policy.decide({ record, error: 'no', attempt, firstFailedAt: 0, random }, 0);
        if (decision.do !== 'retry') throw new Error('expected a retry');
        // A factor can grow beyond all numbers; zero stays zero.
        const growth = backoff.initialMs === 0 ? 0 : backoff.initialMs * backoff.factor ** (attempt - 1);
        const full = Math.min(backoff.maxMs, growth);
        expect(decision.afterMs).toBeLessThanOrEqual(full);
        expect(decision.afterMs).toBeGreaterThanOrEqual(full * (1 - backoff.jitter) - 1e-6);
      }),
    );
  });

  it('ends: after maxAttempts the next policy decides, whatever the errors and times are', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(randoms, { minLength: 50, maxLength: 50 }),
        (maxAttempts, draws) => {
          const policy = retry({ maxAttempts, then: stop() });
          let attempt = 1;
          let now = 0;
          for (; attempt <= 50; attempt++) {
            const decision = policy.decide(
              { record, error: 'no', attempt, firstFailedAt: 0, random: draws[attempt - 1] ?? 0 },
              now,
            );
            if (decision.do !== 'retry') break;
            now += decision.afterMs;
          }
          expect(attempt).toBe(maxAttempts);
        },
      ),
    );
  });

  it('begins no attempt later than maxElapsedMs after the first failure', () => {
    fc.assert(
      fc.property(
        backoffs,
        fc.integer({ min: 0, max: 100_000 }),
        fc.integer({ min: 0, max: 200_000 }),
        randoms,
        (backoff, limit, now, random) => {
          const policy = retry({ maxAttempts: 1_000, maxElapsedMs: limit, backoff, then: stop() });
          const decision = policy.decide({ record, error: 'no', attempt: 3, firstFailedAt: 0, random }, now);
          if (decision.do === 'retry') expect(now + decision.afterMs).toBeLessThanOrEqual(limit);
        },
      ),
    );
  });
});
