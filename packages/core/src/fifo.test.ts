import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fifo } from './fifo.ts';

function fifoOf(...items: readonly number[]): Fifo<number> {
  const fifo = new Fifo<number>();
  for (const item of items) fifo.push(item);
  return fifo;
}

describe('Fifo', () => {
  it('gives items in the order in which it got them, and undefined when it is empty', () => {
    const fifo = fifoOf(1, 2);
    expect([fifo.length, fifo.peek(), fifo.shift(), fifo.shift(), fifo.shift(), fifo.peek(), fifo.length]).toEqual([
      ...[2, 1, 1, 2],
      ...[undefined, undefined, 0],
    ]);
  });

  it('takes out what is asked for, and keeps the order of both', () => {
    const fifo = fifoOf(1, 2, 3, 4, 5);
    fifo.shift();
    expect(fifo.extract((item) => item % 2 === 1)).toEqual([3, 5]);
    fifo.push(6);
    expect([fifo.shift(), fifo.shift(), fifo.shift(), fifo.length]).toEqual([2, 4, 6, 0]);
  });

  it('behaves as an array does, whatever is pushed, shifted and extracted', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('push' as const), times: fc.nat(3_000) }),
      fc.record({ do: fc.constant('shift' as const), times: fc.nat(3_000) }),
      fc.record({ do: fc.constant('extract' as const), times: fc.integer({ min: 2, max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const fifo = new Fifo<number>();
        let model: number[] = [];
        let next = 0;
        for (const { do: what, times } of steps) {
          for (let i = 0; what === 'push' && i < times; i++) {
            model.push(next);
            fifo.push(next++);
          }
          if (what === 'shift') {
            const got = Array.from({ length: Math.min(times, fifo.length) }, () => fifo.shift());
            expect(got).toEqual(model.splice(0, times));
          }
          if (what === 'extract') {
            const isTaken = (item: number): boolean => item % times === 0;
            expect(fifo.extract(isTaken)).toEqual(model.filter(isTaken));
            model = model.filter((item) => !isTaken(item));
          }
          expect([fifo.length, fifo.peek()]).toEqual([model.length, model[0]]);
        }
        expect(Array.from(model, () => fifo.shift())).toEqual(model);
      }),
      { numRuns: 50 },
    );
  });

  it('lets go of what it gave', async () => {
    const fifo = new Fifo<object>();
    const references = Array.from({ length: 10 }, (_, i) => {
      const item = { i };
      fifo.push(item);
      return new WeakRef(item);
    });
    for (let i = 0; i < 9; i++) fifo.shift();
    // A WeakRef holds its object until the end of the turn of the event loop in which it was made.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    expect(references.filter((reference) => reference.deref() !== undefined)).toHaveLength(1);
    expect(fifo.length).toBe(1);
  });
});
