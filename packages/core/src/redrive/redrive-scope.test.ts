import { describe, expect, it } from '@jest/globals';
import { RedriveScope } from './redrive-scope.ts';

const scope = (...spans: readonly (readonly [start: number, end: number, stale?: number])[]): RedriveScope =>
  new RedriveScope(
    't',
    spans.map(([start, end, stale], partition) => ({ topic: 't', partition, start, end, stale })),
  );
const at = (partition: number, offset: number) => ({ topic: 't', partition, offset });

describe('the scope of a redrive', () => {
  it('is what lies between the start and the end of each partition', () => {
    const some = scope([0, 10], [5, 5], [3, 8]);
    expect([some.total, some.left, some.isDone]).toEqual([15, 15, false]);
    expect([some.has(at(0, 9)), some.has(at(0, 10)), some.has(at(7, 0))]).toEqual([true, false, false]);
    expect(some.open.map(({ partition }) => partition)).toEqual([0, 2]);
    expect([scope().isDone, scope([4, 4]).isDone]).toEqual([true, true]);
  });

  it('shrinks with what is committed, never grows by it, and is done at the ends', () => {
    const some = scope([0, 10], [3, 8]);
    some.committed(at(0, 6));
    some.committed(at(0, 4));
    some.found(1, 5);
    some.found(9, 5);
    expect([some.left, some.total]).toEqual([7, 15]);
    some.found(1, 12);
    some.committed(at(0, 10));
    expect([some.isDone, some.total]).toEqual([true, 15]);
  });

  it('takes an offset that was outside the log for no progress, until another one is committed', () => {
    const anew = scope([0, 5, 100]);
    anew.found(0, 100);
    expect(anew.left).toBe(5);
    anew.found(0, 0);
    anew.found(0, 100);
    expect(anew.left).toBe(0);
  });

  it('can be extended', () => {
    const some = scope([0, 5]);
    some.committed(at(0, 5));
    some.extend([at(0, 7), at(3, 9)]);
    expect([some.left, some.has(at(0, 6))]).toEqual([2, true]);
    some.extend([at(0, 6)]);
    expect(some.left).toBe(2);
  });
});
