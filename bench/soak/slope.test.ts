import { describe, expect, it } from '@jest/globals';
import { slopePerMinute } from './slope.ts';

describe('the slope of samples', () => {
  it('is that of the line they are on, or are scattered around', () => {
    const line = [0, 1, 2, 3].map((minutes) => ({ minutes, value: 5 + 2 * minutes }));
    expect(slopePerMinute(line)).toBeCloseTo(2);
    const scattered = line.map(({ minutes, value }, index) => ({ minutes, value: value + [1, -1, -1, 1][index]! }));
    expect(slopePerMinute(scattered)).toBeCloseTo(2);
  });

  it('cannot be told from one time', () => {
    expect(() => slopePerMinute([{ minutes: 1, value: 1 }])).toThrow(RangeError);
  });
});
