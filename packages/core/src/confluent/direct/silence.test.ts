import { describe, expect, it } from '@jest/globals';
import { Silence } from './silence.ts';

const LONG_MS = 10_000;

describe('a partition that does not come', () => {
  it("is nobody's business for a while, nor when it was asked for only once", () => {
    const silence = new Silence(0);
    silence.failed('a', true);
    expect(silence.step(LONG_MS * 5, true)).toBe('wait');
    silence.failed('b', true);
    expect(silence.step(LONG_MS - 1, true)).toBe('wait');
    expect(silence.step(LONG_MS, true)).toBe('ask librdkafka');
    expect([silence.reason, silence.lastsMs(LONG_MS)]).toEqual(['b', LONG_MS]);
  });

  it('is told of once, where its broker answers', () => {
    const silence = new Silence(0);
    for (const reason of ['a', 'b']) silence.failed(reason, false);
    expect([1, 2, 3].map((i) => silence.step(LONG_MS * i, true))).toEqual(['tell', 'wait', 'wait']);
  });

  it('is left to librdkafka when that has reached its leader, and two attempts have failed since', () => {
    const silence = new Silence(0);
    for (const reason of ['a', 'b']) silence.failed(reason, true);
    expect(silence.step(LONG_MS, true)).toBe('ask librdkafka');
    // Something else is being asked.
    expect(silence.step(LONG_MS, false)).toBe('wait');
    silence.failed('c', true);
    silence.answered(true, LONG_MS);
    silence.failed('d', true);
    expect(silence.step(LONG_MS, true)).toBe('wait');
    silence.failed('e', true);
    expect(silence.step(LONG_MS, true)).toBe('leave it to librdkafka');
  });

  it('is asked about again after a while, where librdkafka does not reach its leader either', () => {
    const silence = new Silence(0);
    for (const reason of ['a', 'b']) silence.failed(reason, true);
    expect(silence.step(LONG_MS, true)).toBe('ask librdkafka');
    silence.answered(false, LONG_MS);
    expect([silence.step(LONG_MS * 2 - 1, true), silence.step(LONG_MS * 2, true)]).toEqual(['wait', 'ask librdkafka']);
  });

  it('is not left where its broker has answered meanwhile, though with an error', () => {
    const silence = new Silence(0);
    for (const reason of ['a', 'b']) silence.failed(reason, true);
    silence.step(LONG_MS, true);
    silence.answered(true, LONG_MS);
    silence.failed('c', false);
    for (const reason of ['d', 'e']) silence.failed(reason, true);
    expect(silence.step(LONG_MS, true)).toBe('ask librdkafka');
  });
});
