import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ClosingAnswer } from './closing-answer.ts';
import type { NativeConsumer } from './native-client.ts';

const logger = { debug() {}, info() {}, warn() {}, error() {} };

describe('what a consumer that is being disconnected answers after the event loop stood still', () => {
  it.each([
    ['is one answer to two questions of which the second waits to be told', 'revoked', 1],
    ['is nothing when it is over by then', 'stop', 0],
  ] as const)('%s', async (_what, then, expected) => {
    let given = 0;
    const answer = new ClosingAnswer({ unassign: () => given++ } as unknown as NativeConsumer, logger);
    // From here timers come first when the event loop goes on, and what was told from outside behind them.
    await new Promise((resolve) => setImmediate(resolve));
    answer.assigned();
    // As what the native client tells does, this comes from outside of the event loop.
    const told = stat(fileURLToPath(import.meta.url)).then(() => answer[then]());
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
    await told;
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect(given).toBe(expected);
  });
});

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
    jest.advanceTimersByTime(100);
    answer.revoked();
    expect(given()).toBe(0);
    jest.advanceTimersByTime(60_000);
    expect(given()).toBe(1);
  });

  it('an assignment that nothing follows, and a revocation that comes later', () => {
    const { given, answer } = answers();
    answer.assigned();
    jest.advanceTimersByTime(300);
    expect(given()).toBe(1);
    answer.revoked();
    jest.advanceTimersByTime(300);
    expect(given()).toBe(2);
  });

  it('nothing to what was answered before: the client is gone by then', () => {
    const { given, answer } = answers();
    answer.revoked();
    jest.advanceTimersByTime(100);
    answer.stop();
    jest.advanceTimersByTime(60_000);
    expect(given()).toBe(0);
  });

  it('again while the client does not take it, until it is disconnected', () => {
    const { given, answer } = answers(3);
    answer.revoked();
    jest.advanceTimersByTime(60_000);
    expect(given()).toBe(4);
    const never = answers(1_000);
    never.answer.revoked();
    jest.advanceTimersByTime(850);
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
