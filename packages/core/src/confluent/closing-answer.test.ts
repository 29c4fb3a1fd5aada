import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ClosingAnswer } from './closing-answer.ts';
import type { NativeConsumer } from './native-client.ts';

const logger = { debug() {}, info() {}, warn() {}, error() {} };

describe('what a consumer that is being disconnected answers', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  function answers(failures = 0): { readonly given: () => number; readonly answer: ClosingAnswer } {
    const unassign = jest.fn(() => {
      if (unassign.mock.calls.length <= failures) throw new Error('Local: Erroneous state');
    });
    const native = { unassign } as unknown as NativeConsumer;
    return { given: () => unassign.mock.calls.length, answer: new ClosingAnswer(native, logger) };
  }

  it('once for an assignment and the revocation right behind it', () => {
    const { given, answer } = answers();
    answer.assigned();
    expect(given()).toBe(0);
    answer.revoked();
    expect(given()).toBe(1);
    jest.advanceTimersByTime(60_000);
    expect(given()).toBe(1);
  });

  it('an assignment that nothing follows, and a revocation that comes later', () => {
    const { given, answer } = answers();
    answer.assigned();
    jest.advanceTimersByTime(300);
    expect(given()).toBe(1);
    answer.revoked();
    expect(given()).toBe(2);
  });

  it('again while the client does not take it, until it is disconnected', () => {
    const { given, answer } = answers(3);
    answer.revoked();
    jest.advanceTimersByTime(60_000);
    expect(given()).toBe(4);
    const never = answers(1_000);
    never.answer.revoked();
    jest.advanceTimersByTime(600);
    const before = never.given();
    expect(before).toBe(3);
    never.answer.stop();
    jest.advanceTimersByTime(60_000);
    expect(never.given()).toBe(before);
    never.answer.assigned();
    never.answer.revoked();
    jest.advanceTimersByTime(60_000);
    expect(never.given()).toBe(before);
    const gone = answers(1_000);
    gone.answer.revoked();
    jest.advanceTimersByTime(600_000);
    expect(gone.given()).toBe(20);
    expect(jest.getTimerCount()).toBe(0);
  });
});
