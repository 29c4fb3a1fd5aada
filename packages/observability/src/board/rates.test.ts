import { expect, it } from '@jest/globals';
import { RATE_SECONDS, Rates } from './rates.ts';

it('holds the rate of each of the last seconds, and no more of them than fit', () => {
  const rates = new Rates(0);
  expect(rates.values()).toEqual({ handled: [], failed: [], retried: [] });
  for (let second = 1; second <= RATE_SECONDS + 7; second++) {
    rates.handled.count += second;
    rates.tick(second * 1_000);
  }
  const { handled, failed } = rates.values();
  expect(handled).toEqual(Array.from({ length: RATE_SECONDS }, (_, i) => i + 8));
  expect(failed).toEqual(Array(RATE_SECONDS).fill(0));
});

it('spreads what was counted over the seconds that a late tick stands for', () => {
  const rates = new Rates(0);
  rates.failed.count = 10;
  rates.tick(4_000);
  rates.tick(4_000);
  expect(rates.values().failed).toEqual([2.5, 2.5, 2.5, 2.5]);
  rates.tick(10 * 60_000);
  expect(rates.values().failed).toEqual(Array(RATE_SECONDS).fill(0));
});
