import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Claim } from './claim.ts';

const at = { topic: 't', partition: 0 };

describe('a claim', () => {
  it('knows what is done as the database does, whatever is stored in whatever order', () => {
    fc.assert(
      fc.property(
        fc.option(fc.nat(20), { nil: undefined }),
        fc.array(fc.record({ next: fc.option(fc.nat(60), { nil: undefined }), finished: fc.array(fc.nat(80)) })),
        (first, steps) => {
          const claim = new Claim(at, '1', first, []);
          // What the tables hold: the greatest next offset, and rows that are trimmed below it.
          let next = first;
          let rows = new Set<number>();
          for (const step of steps) {
            const frontier = Math.max(step.next ?? 0, next ?? 0);
            const finished = step.finished.filter((offset) => offset >= frontier);
            claim.noteStored({ nextOffset: step.next, metadata: '', finished });
            if (step.next !== undefined) next = Math.max(step.next, next ?? 0);
            rows = new Set([...rows, ...finished].filter((offset) => offset >= (next ?? 0)));
            expect(claim.nextOffset).toBe(next);
            expect([...claim.finished].sort((a, b) => a - b)).toEqual([...rows].sort((a, b) => a - b));
          }
          const offsets = Array.from({ length: 81 }, (_, i) => i);
          const done = offsets.filter((offset) => (next !== undefined && offset < next) || rows.has(offset));
          expect(offsets.filter((offset) => claim.isFinished(offset))).toEqual(done);
        },
      ),
    );
  });

  it('has one attempt store a record at a time', async () => {
    const claim = new Claim(at, '1', 0, []);
    const end = claim.beginStoring([1, 2]);
    expect(claim.storing([3])).toBeUndefined();
    const wait = claim.storing([2, 3]);
    expect(wait).toBeDefined();
    end();
    await wait;
    expect(claim.storing([2, 3])).toBeUndefined();
  });
});
