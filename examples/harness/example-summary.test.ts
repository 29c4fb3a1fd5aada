import { describe, expect, it } from '@jest/globals';
import { figuresOf, maxPartitionsAtOnce } from './example-summary.ts';
import type { HandlerCall } from './handler-calls.ts';

function call(start: number, end: number, offset: number, more: Partial<HandlerCall> = {}): HandlerCall {
  return { start, end, topic: 't', partition: 0, offset, key: 'k', attempt: 1, outcome: 'ok', ...more };
}

describe('figuresOf', () => {
  it('is all zero for no calls', () => {
    expect(figuresOf([])).toEqual({
      records: 0,
      handled: 0,
      failed: 0,
      seconds: 0,
      maxConcurrent: 0,
      order: { partition: true, key: true },
    });
  });

  it('counts a record once, by the outcome of its last call', () => {
    const calls = [
      call(0, 1, 0, { outcome: 'error' }),
      call(2, 3, 0, { attempt: 2 }),
      call(4, 5, 1, { outcome: 'error' }),
      call(6, 7, 1, { attempt: 2, outcome: 'error' }),
      call(8, 9, 2),
    ];
    expect(figuresOf(calls)).toMatchObject({ records: 3, handled: 2, failed: 1, order: { partition: true } });
  });

  it('takes the time from the first start to the last end', () => {
    expect(figuresOf([call(1_500.5, 1_501, 0), call(2_000, 2_734.5, 1)]).seconds).toBe(1.234);
  });

  it('finds the largest number of calls at once, where one that begins as another ends is not at once with it', () => {
    expect(figuresOf([call(0, 10, 0), call(10, 20, 1), call(20, 20, 2), call(20, 20, 3)]).maxConcurrent).toBe(1);
    expect(figuresOf([call(0, 10, 0), call(1, 3, 1), call(2, 9, 2), call(4, 5, 3)]).maxConcurrent).toBe(3);
  });

  it('finds records of a partition that were handled in another order', () => {
    expect(figuresOf([call(0, 1, 1), call(2, 3, 0)]).order).toEqual({ partition: false, key: false });
    expect(figuresOf([call(0, 1, 1, { key: 'a' }), call(2, 3, 0, { key: 'b' })]).order).toEqual({
      partition: false,
      key: true,
    });
  });

  it('finds records of a partition that were handled at the same time', () => {
    expect(figuresOf([call(0, 5, 0), call(3, 8, 1)]).order).toEqual({ partition: false, key: false });
    expect(figuresOf([call(0, 5, 0, { key: 'a' }), call(3, 8, 1, { key: 'b' })]).order).toEqual({
      partition: false,
      key: true,
    });
  });

  it('asks for no order between partitions, nor between records without a key', () => {
    const others = [call(0, 9, 5, { partition: 1 }), call(1, 2, 0, { partition: 0 })];
    expect(figuresOf(others).order).toEqual({ partition: true, key: true });
    expect(figuresOf([call(0, 9, 1, { key: null }), call(1, 2, 0, { key: null })]).order).toEqual({
      partition: false,
      key: true,
    });
  });

  it('takes the records of a batch for one call, in their order', () => {
    const batch = (number: number, start: number, offsets: number[], outcome: 'ok' | 'error' = 'ok') =>
      offsets.map((offset) => call(start, start + 10, offset, { batch: number, outcome }));
    const apart = { partition: 1, key: 'l' };
    const other = batch(9, 5, [0, 1]).map((one) => ({ ...one, ...apart }));
    const kept = { maxConcurrent: 2, order: { partition: true, key: true } };
    expect(figuresOf([...batch(0, 0, [0, 1, 2]), ...batch(1, 10, [3, 4]), ...other])).toMatchObject(kept);
    expect(figuresOf([...batch(0, 0, [1, 0])]).order.partition).toBe(false);
    expect(figuresOf([...batch(0, 0, [0, 1]), ...batch(1, 5, [2])]).order.partition).toBe(false);
    expect(figuresOf([...batch(0, 0, [2, 3]), ...batch(1, 10, [0, 1])]).order.partition).toBe(false);
  });

  it('finds no fault with a batch that failed and comes again, and one with a record that comes again behind its batch', () => {
    const failed = [0, 1].map((offset) => call(0, 10, offset, { batch: 0, outcome: 'error' }));
    const again = [0, 1].map((offset) => call(20, 30, offset, { batch: 1, attempt: 2 }));
    expect(figuresOf([...failed, ...again])).toMatchObject({ handled: 2, failed: 0, order: { partition: true } });
    const [first] = failed;
    const rest = call(0, 10, 1, { batch: 0 });
    const alone = call(20, 30, 0, { batch: 1, attempt: 2 });
    expect(figuresOf([first as HandlerCall, rest, alone])).toMatchObject({ handled: 2, order: { partition: false } });
  });

  it('does not depend on the order in which calls are given', () => {
    const calls = [call(0, 1, 0), call(2, 3, 1), call(4, 5, 2, { outcome: 'error' })];
    expect(figuresOf([...calls].reverse())).toEqual(figuresOf(calls));
  });
});

describe('maxPartitionsAtOnce', () => {
  it('counts partitions, not calls', () => {
    expect(maxPartitionsAtOnce([])).toBe(0);
    expect(maxPartitionsAtOnce([call(0, 5, 0), call(1, 6, 1), call(6, 9, 0, { partition: 1 })])).toBe(1);
    expect(maxPartitionsAtOnce([call(0, 5, 0), call(4, 6, 1), call(5, 9, 0, { partition: 1 })])).toBe(2);
  });
});
