import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InFlight } from './in-flight.ts';

const MIB = 1024 * 1024;

/** Takes in a poll of records of these sizes. */
function poll(inFlight: InFlight, sizes: readonly number[]): void {
  for (const size of sizes) inFlight.add(size);
  inFlight.polled(Math.max(0, ...sizes));
}

describe('InFlight', () => {
  it('counts records and bytes that are not finished', () => {
    const inFlight = new InFlight({ inFlightRecords: 100, inFlightBytes: 1_000 });
    poll(inFlight, [10, 20, 30]);
    inFlight.remove(2, 40);
    expect([inFlight.records, inFlight.bytes]).toEqual([1, 20]);
  });

  it('never asks for more records than the limit has left, nor for more than 500 at once', () => {
    const small = new InFlight({ inFlightRecords: 60, inFlightBytes: 1_000 * MIB });
    expect(small.room()).toBe(60);
    poll(
      small,
      Array.from({ length: 20 }, () => 1),
    );
    expect(small.room()).toBe(40);
    expect(new InFlight({ inFlightRecords: 10_000, inFlightBytes: 10_000 * MIB }).room()).toBe(500);
  });

  it('takes a record to be a mebibyte until it has seen one, then to be as large as the largest of late', () => {
    const inFlight = new InFlight({ inFlightRecords: 10_000, inFlightBytes: 10 * MIB });
    expect(inFlight.room()).toBe(10);
    poll(inFlight, [MIB / 4]);
    expect(inFlight.room()).toBe(39);
    poll(inFlight, [MIB / 2, 1]);
    expect(inFlight.room()).toBe(18);
  });

  it('takes a record to pin what those of the last poll have pinned on average, and never so much that none could come once it opens again', () => {
    const inFlight = new InFlight({ inFlightRecords: 10_000, inFlightBytes: 10 * MIB });
    inFlight.polled(200, MIB);
    expect(inFlight.room()).toBe(10);
    inFlight.polled(200, 8 * MIB);
    expect(inFlight.room()).toBe(4);
    for (const bytes of [7 * MIB, 4 * MIB]) inFlight.add(bytes);
    expect(inFlight.room()).toBe(0);
    inFlight.remove(1, 4 * MIB);
    expect(inFlight.room()).toBe(1);
  });

  it('learns nothing from a poll of which nothing was taken', () => {
    const inFlight = new InFlight({ inFlightRecords: 10_000, inFlightBytes: 10 * MIB });
    poll(inFlight, []);
    expect(inFlight.room()).toBe(10);
  });

  // The first guess was told from what was seen by its value, so a size that was halved to it was forgotten at once.
  it('comes down from the size of a large record by half with each poll', () => {
    const inFlight = new InFlight({ inFlightRecords: 10_000, inFlightBytes: 8 * MIB });
    poll(inFlight, [2 * MIB]);
    inFlight.remove(1, 2 * MIB);
    expect(inFlight.room()).toBe(4);
    const rooms = Array.from({ length: 4 }, () => {
      poll(inFlight, [1_000]);
      inFlight.remove(1, 1_000);
      return inFlight.room();
    });
    expect(rooms).toEqual([8, 16, 32, 64]);
  });

  it.each([
    ['records', (n: number) => ({ records: n, bytes: n })],
    ['bytes', (n: number) => ({ records: n / 10, bytes: n * 100 })],
  ] as const)('asks for nothing when it is full of %s, and goes on when it has come down to 70 %%', (_what, sizeOf) => {
    const inFlight = new InFlight({ inFlightRecords: 100, inFlightBytes: 10_000 });
    const at = (percent: number): number => {
      inFlight.remove(inFlight.records, inFlight.bytes);
      inFlight.polled(1);
      const { records, bytes } = sizeOf(percent);
      for (let i = 0; i < records; i++) inFlight.add(bytes / records);
      return inFlight.room();
    };
    poll(inFlight, [1]);
    at(1);
    expect(at(100)).toBe(0);
    expect(at(90)).toBe(0);
    expect(at(80)).toBe(0);
    expect(at(70)).toBeGreaterThan(0);
  });

  it('lets one record pass alone that is larger than the limit', () => {
    const inFlight = new InFlight({ inFlightRecords: 100, inFlightBytes: 1_000 });
    expect(inFlight.room()).toBe(1);
    poll(inFlight, [50_000]);
    expect(inFlight.room()).toBe(0);
    inFlight.remove(1, 50_000);
    expect(inFlight.room()).toBe(1);
  });

  it('never lets the records in flight pass their limit, nor the bytes by more than one poll brought', () => {
    const step = fc.record({
      sizes: fc.infiniteStream(fc.oneof(fc.nat(2_000), fc.constant(20_000))),
      finished: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const limits = fc.record({
      inFlightRecords: fc.integer({ min: 1, max: 300 }),
      inFlightBytes: fc.integer({ min: 1, max: 5 * MIB }),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 40 }), (given, steps) => {
        const inFlight = new InFlight(given);
        const open: number[] = [];
        for (const { sizes, finished } of steps) {
          const room = inFlight.room();
          const isEmpty = open.length === 0;
          expect(room > 0 || !isEmpty).toBe(true);
          const before = inFlight.bytes;
          if (room > 0) expect(isEmpty || before < given.inFlightBytes).toBe(true);
          const brought = [...sizes.take(room)];
          poll(inFlight, brought);
          open.push(...brought);
          expect(open.length).toBeLessThanOrEqual(given.inFlightRecords);
          for (let n = Math.floor(finished * open.length); n > 0; n--) inFlight.remove(1, open.shift() ?? 0);
        }
      }),
      { numRuns: 100 },
    );
  });

  // It was full and open in turn at 7 of 10: the worker polled without end, and nothing else got its turn.
  it('says the same when it is asked again', () => {
    const undecided: string[] = [];
    for (let limit = 1; limit <= 100; limit++) {
      const inFlight = new InFlight({ inFlightRecords: limit, inFlightBytes: MIB * 1_000 });
      const ask = (): void => {
        const answers = new Set([inFlight.room(), inFlight.room()]);
        if (answers.size > 1) undecided.push(`${inFlight.records} of ${limit}`);
      };
      for (; inFlight.records < limit; ask()) inFlight.add(100);
      for (; inFlight.records > 0; ask()) inFlight.remove(1, 100);
    }
    expect(undecided).toEqual([]);
  });

  it('asks for no more than fits as long as records do not become larger', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 5_000_000 }), (size, limit) => {
        const inFlight = new InFlight({ inFlightRecords: 10_000, inFlightBytes: limit });
        for (let polls = 0; polls < 30; polls++) {
          poll(
            inFlight,
            Array.from({ length: inFlight.room() }, () => size),
          );
          expect(inFlight.bytes).toBeLessThanOrEqual(Math.max(limit, size));
        }
      }),
      { numRuns: 100 },
    );
  });
});
