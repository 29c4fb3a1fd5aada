import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FrameGuard } from './frame-guard.ts';

const MAX = 1_000;

function frame(length: number, bytes = length): Buffer {
  const all = Buffer.alloc(4 + bytes);
  all.writeInt32BE(length);
  return all;
}

/** What is wrong with these bytes, when they come in chunks of these sizes. */
function flawOf(bytes: Buffer, sizes: readonly number[]): string | undefined {
  const guard = new FrameGuard(MAX);
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    const flaw = guard.flawOf(bytes.subarray(at, at + size));
    if (flaw !== undefined) return flaw;
    at += size;
  }
  return undefined;
}

const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });
const lengths = fc.array(fc.integer({ min: 4, max: 60 }), { maxLength: 6 });

describe('the lengths in front of responses', () => {
  it('are fine, in whatever chunks they come', () => {
    fc.assert(
      fc.property(lengths, sizes, (list, chunks) => {
        expect(flawOf(Buffer.concat(list.map((length) => frame(length))), chunks)).toBeUndefined();
      }),
    );
  });

  it('are noticed where they cannot be', () => {
    const wrong = fc.oneof(fc.integer({ min: -(2 ** 31), max: 3 }), fc.integer({ min: MAX + 1, max: 2 ** 31 - 1 }));
    fc.assert(
      fc.property(lengths, wrong, sizes, (list, length, chunks) => {
        const bytes = Buffer.concat([...list.map((one) => frame(one)), frame(length, 8)]);
        expect(flawOf(bytes, chunks)).toBe(`a response of ${length} bytes`);
      }),
    );
  });
});
