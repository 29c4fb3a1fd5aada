import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { IllegalStateError } from './errors.ts';
import { Ledger } from './ledger.ts';

function received(startOffset: number, offsets: readonly number[]): Ledger {
  const ledger = new Ledger(startOffset);
  for (const offset of offsets) ledger.receive(offset);
  return ledger;
}

describe('Ledger', () => {
  it('begins with the offset where reading starts, with nothing open', () => {
    const ledger = new Ledger(42);
    expect([ledger.nextOffset, ledger.position, ledger.openCount, ledger.aheadCount]).toEqual([42, 42, 0, 0]);
  });

  it('stays at the first unfinished record however many behind it are finished', () => {
    const ledger = received(0, [0, 1, 2, 3]);
    for (const offset of [1, 2, 3]) ledger.settle(offset);
    expect([ledger.nextOffset, ledger.openCount, ledger.aheadCount]).toEqual([0, 1, 4]);
    ledger.settle(0);
    expect([ledger.nextOffset, ledger.openCount, ledger.aheadCount]).toEqual([4, 0, 0]);
  });

  it('passes offsets that were never received', () => {
    const ledger = received(0, [10, 20, 30]);
    expect(ledger.nextOffset).toBe(10);
    ledger.settle(10);
    expect(ledger.nextOffset).toBe(20);
    ledger.settle(20);
    ledger.settle(30);
    expect(ledger.nextOffset).toBe(31);
  });

  it('has the read position as next offset while nothing is open, and a lower position changes nothing', () => {
    const ledger = received(0, [0]);
    ledger.advancePosition(5);
    expect([ledger.nextOffset, ledger.position]).toEqual([0, 5]);
    ledger.settle(0);
    expect(ledger.nextOffset).toBe(5);
    ledger.advancePosition(9);
    ledger.advancePosition(3);
    expect([ledger.nextOffset, ledger.position]).toEqual([9, 9]);
  });

  // What was received of a chunk was counted as passed when its first offset was the open one.
  it('counts what lies ahead when the frontier comes to the very first offset of a chunk', () => {
    const ledger = received(4_095, [4_095, 4_096, 4_097]);
    ledger.settle(4_095);
    expect([ledger.nextOffset, ledger.aheadCount]).toEqual([4_096, 2]);
    ledger.settle(4_096);
    expect([ledger.nextOffset, ledger.aheadCount]).toEqual([4_097, 1]);
  });

  it('goes over whole chunks that are finished or were never received', () => {
    const ledger = received(0, [0, 1_500, 5_000, 1_000_000]);
    ledger.settle(1_500);
    ledger.settle(5_000);
    ledger.settle(0);
    expect([ledger.nextOffset, ledger.aheadCount]).toEqual([1_000_000, 1]);
  });

  it('works with offsets beyond 32 bits', () => {
    const start = Number.MAX_SAFE_INTEGER - 5_000;
    const ledger = received(start, [start, start + 1, start + 4_000]);
    ledger.settle(start);
    expect(ledger.nextOffset).toBe(start + 1);
    ledger.settle(start + 4_000);
    ledger.settle(start + 1);
    expect(ledger.nextOffset).toBe(start + 4_001);
  });

  it('refuses an offset below its position, and what is not open, and says which', () => {
    const ledger = received(5, [5, 7]);
    for (const below of [0, 5, 7]) expect(() => ledger.receive(below)).toThrow(IllegalStateError);
    ledger.settle(5);
    for (const notOpen of [0, 5, 6, 8, 100_000]) expect(() => ledger.settle(notOpen)).toThrow(`offset ${notOpen}`);
    expect([ledger.nextOffset, ledger.position, ledger.openCount, ledger.aheadCount]).toEqual([7, 8, 1, 1]);
  });

  it('knows which offsets are open', () => {
    const ledger = received(0, [0, 2, 2_000]);
    ledger.settle(2);
    expect([0, 1, 2, 3, 1_999, 2_000, 2_001].filter((offset) => ledger.isOpen(offset))).toEqual([0, 2_000]);
  });

  it('needs no more memory after a hundred million offsets than after a few', () => {
    const ledger = new Ledger(0);
    const pass = (records: number, everyNth: number): number => {
      const open: number[] = [];
      for (let n = 0; n < records; n++) {
        const offset = ledger.position + everyNth - 1;
        ledger.receive(offset);
        // Some records are open all the time, so that chunks come and go while others stay.
        open.push(offset);
        if (open.length > 3) ledger.settle(open.shift() ?? 0);
      }
      for (const offset of open) ledger.settle(offset);
      return usedBytes();
    };
    pass(1_000_000, 1);
    const before = pass(50_000, 1_000);
    // A chunk for each of these would pin 120 MB; what is garbage is given back when the collector likes.
    expect(pass(100_000, 10_000) - before).toBeLessThan(40 * 1024 * 1024);
  });
});

/** What is really in use: after a full collection of garbage. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  // Buffers are given back in the background, which a second collection waits for.
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
