import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { StartRate } from './start-rate.ts';

const NOW = Date.UTC(2026, 0, 1);

/** Starts whenever it may, asked at every due time and late by what `lateMs` says. */
function startTimes(perSecond: number, count: number, lateMs: (index: number) => number = () => 0): number[] {
  const rate = new StartRate(perSecond);
  const times: number[] = [];
  let now = NOW;
  while (times.length < count) {
    now = Math.max(now, rate.dueAt) + lateMs(times.length);
    rate.started(now);
    times.push(now - NOW);
  }
  return times;
}

/** The most starts in any window of a second. */
function mostInASecond(times: readonly number[]): number {
  let most = 0;
  for (let from = 0, to = 0; from < times.length; from++) {
    // The clock's milliseconds have fractions of a thousandth, at today's dates.
    while (to < times.length && (times[to] as number) < (times[from] as number) + 999.99) to++;
    most = Math.max(most, to - from);
  }
  return most;
}

describe('StartRate', () => {
  it('lets the first start at once', () => {
    expect(new StartRate(1).dueAt).toBeLessThan(0);
  });

  it.each([1, 2, 3, 7, 10, 60, 100, 999, 1_000, 1_001, 2_500, 20_000])(
    'allows %p in any second, and reaches it',
    (perSecond) => {
      const times = startTimes(perSecond, perSecond * 3);
      expect(mostInASecond(times)).toBeLessThanOrEqual(perSecond);
      expect(times.at(-1)).toBeLessThan((3_000 - 1_000 / perSecond) * 1.001);
    },
  );

  it.each([0.1, 0.5, 1.5, 2.5, 33.3, 1_500.7])(
    'keeps the fractional rate %p in the long run, and rounds it up in no second',
    (perSecond) => {
      const times = startTimes(perSecond, 2_000);
      expect(mostInASecond(times)).toBeLessThanOrEqual(Math.ceil(perSecond));
      const kept = ((times.length - 1) * 1_000) / (times.at(-1) as number);
      expect(kept / perSecond).toBeCloseTo(1, 3);
    },
  );

  it('spreads starts evenly', () => {
    const times = startTimes(10, 50);
    const gaps = times.slice(1).map((time, index) => time - (times[index] as number));
    expect(Math.min(...gaps)).toBeCloseTo(100, 2);
    expect(Math.max(...gaps)).toBeCloseTo(100, 2);
  });

  it('catches up after late timers, so that the rate is kept', () => {
    const times = startTimes(100, 1_000, (index) => (index % 3 === 0 ? 1.3 : 0.4));
    expect(times.at(-1)).toBeLessThan(10_000);
    expect(mostInASecond(times)).toBeLessThanOrEqual(100);
  });

  it('does not make up for a time when nothing was started', () => {
    const rate = new StartRate(10);
    rate.started(NOW);
    const late = NOW + 60_000;
    let starts = 0;
    for (let now = late; now < late + 50; now++) {
      if (rate.dueAt > now) continue;
      rate.started(now);
      starts++;
    }
    expect(starts).toBe(1);
  });

  it('never allows more, whatever the timers do', () => {
    const late = fc.array(
      fc.oneof(fc.constant(0), fc.double({ min: 0, max: 5, noNaN: true }), fc.integer({ min: 0, max: 3_000 })),
      {
        minLength: 1,
        maxLength: 50,
      },
    );
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 1, max: 50 }), fc.double({ min: 0.2, max: 50, noNaN: true })),
        late,
        (perSecond, lateMs) => {
          const times = startTimes(perSecond, 150, (index) => lateMs[index % lateMs.length] ?? 0);
          expect(mostInASecond(times)).toBeLessThanOrEqual(Math.ceil(perSecond));
        },
      ),
    );
  });
});
