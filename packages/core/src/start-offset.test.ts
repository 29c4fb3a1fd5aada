import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OffsetOutOfRangeError } from './errors.ts';
import { formatGroupOrigin } from './group-origin.ts';
import type { CommittedOffset } from './kafka-client.ts';
import { type StartQuestion, startOffset } from './start-offset.ts';

const at = (topic: string, partition: number) => ({ topic, partition });
const origin = (partitions: number, topics: number): string => formatGroupOrigin({ partitions, topics });

/** A committed offset, or none. */
function committed(topic: string, partition: number, offset?: number, metadata?: string): CommittedOffset {
  return { topic, partition, offset, metadata: offset === undefined ? undefined : (metadata ?? '') };
}

/** A partition with records 100 to 199, of a group that begins at the end. */
function question(rest: Partial<StartQuestion>): StartQuestion {
  return {
    partition: at('t', 0),
    committed: [],
    partitionCounts: new Map([['t', 3]]),
    range: { earliest: 100, latest: 200 },
    startFromOffset: 200,
    onOffsetOutOfRange: 'fail',
    storedOffset: undefined,
    isNewTopic: false,
    ...rest,
  };
}

describe('startOffset', () => {
  it('is the committed offset, also at either end of the log', () => {
    for (const offset of [100, 150, 200]) {
      const start = startOffset(question({ committed: [committed('t', 0, offset, origin(3, 1))] }));
      expect(start).toEqual({ ...at('t', 0), offset, committedOffset: offset, metadata: origin(3, 1) });
    }
  });

  it("is what the delivery's own store says, whatever is committed, and shows that nothing stands for it", () => {
    const start = startOffset(question({ storedOffset: 120, committed: [committed('t', 0, 150, origin(3, 1))] }));
    expect(start).toMatchObject({ offset: 120, committedOffset: 150 });
    expect(startOffset(question({ storedOffset: 120 }))).toMatchObject({ offset: 120, committedOffset: undefined });
  });

  it('is where startFrom lies for a group without any offset, with the origin of the group for its first commit', () => {
    const partitionCounts = new Map([
      ['t', 3],
      ['u', 5],
    ]);
    expect(startOffset(question({ partitionCounts }))).toEqual({
      ...{ ...at('t', 0), offset: 200, committedOffset: undefined, metadata: origin(3, 2) },
    });
  });

  describe('when the offset to go on from is not in the log', () => {
    const outside: readonly [string, Partial<StartQuestion>, number][] = [
      ['committed before the log', { committed: [committed('t', 0, 99)] }, 99],
      ['committed behind the log', { committed: [committed('t', 0, 201)] }, 201],
      ['stored before the log', { storedOffset: 0 }, 0],
      ['stored behind the log', { storedOffset: 1_000 }, 1_000],
    ];

    it.each(outside)('fails with the offset and the range there is: %s', (_name, rest, offset) => {
      const error = { ...at('t', 0), offset, earliest: 100, latest: 200, code: 'OFFSET_OUT_OF_RANGE' };
      expect(() => startOffset(question(rest))).toThrow(OffsetOutOfRangeError);
      expect(() => startOffset(question(rest))).toThrow(expect.objectContaining(error));
    });

    it.each(outside)("goes to the log's start or end only where the option says so: %s", (_name, rest) => {
      const to = (onOffsetOutOfRange: 'earliest' | 'latest'): number =>
        startOffset(question({ ...rest, onOffsetOutOfRange })).offset;
      expect([to('earliest'), to('latest')]).toEqual([100, 200]);
    });
  });

  describe('of a partition without an offset, when others have one', () => {
    const others = (metadata: string): CommittedOffset[] => [
      ...[committed('t', 0, 150, metadata), committed('t', 1, 160, metadata)],
      ...[committed('t', 2), committed('t', 3)],
    ];

    it('is its beginning when its number is not below the count of the first commit: it appeared later', () => {
      const start = startOffset(question({ partition: at('t', 3), committed: others(origin(3, 1)) }));
      expect(start).toMatchObject({ offset: 100, metadata: origin(3, 1) });
    });

    it('is where startFrom lies when it was there from the start and nobody has committed it yet', () => {
      const start = startOffset(question({ partition: at('t', 2), committed: others(origin(3, 1)) }));
      expect(start).toMatchObject({ offset: 200, metadata: origin(3, 1) });
    });

    it.each(['', 'foreign', '{"partitions":"many"}'])(
      'is its beginning when something else wrote the metadata (%j), which skips nothing',
      (metadata) => {
        expect(startOffset(question({ partition: at('t', 2), committed: others(metadata) })).offset).toBe(100);
      },
    );

    it('finds the origin also where only one of several partitions has it', () => {
      const mixed = [committed('t', 0, 150, 'foreign'), committed('t', 1, 150, origin(2, 1)), committed('t', 2)];
      expect(startOffset(question({ partition: at('t', 2), committed: mixed })).offset).toBe(100);
      expect(startOffset(question({ partition: at('t', 2), committed: mixed })).metadata).toBe(origin(2, 1));
    });
  });

  describe('of a topic without any offset', () => {
    it('is its beginning when it was found after the worker had started', () => {
      expect(startOffset(question({ isNewTopic: true })).offset).toBe(100);
    });

    it('is its beginning when every topic of the first commit has an offset: this one came later', () => {
      const known = [committed('a', 0, 5, origin(1, 2)), committed('b', 0, 5, origin(1, 2)), committed('t', 0)];
      const start = startOffset(question({ committed: known }));
      expect(start).toMatchObject({ offset: 100, metadata: origin(3, 2) });
    });

    it('is where startFrom lies while a topic of the first commit has none yet: it may be this one', () => {
      const known = [committed('a', 0, 5, origin(1, 2)), committed('t', 0)];
      expect(startOffset(question({ committed: known })).offset).toBe(200);
    });

    it('is where startFrom lies when what there is was committed by something else', () => {
      const known = [committed('a', 0, 5, 'foreign'), committed('t', 0)];
      expect(startOffset(question({ committed: known })).offset).toBe(200);
    });
  });

  it('goes on from a committed offset also of a topic that is new to this worker', () => {
    expect(startOffset(question({ isNewTopic: true, committed: [committed('t', 0, 150)] })).offset).toBe(150);
  });

  it('counts a partition that the metadata does not show yet', () => {
    const start = startOffset(question({ partition: at('t', 7), partitionCounts: new Map() }));
    expect(start.metadata).toBe(origin(8, 1));
  });

  it('lies inside the log, or fails, for whatever is committed', () => {
    const offset = fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined });
    const metadata = fc.constantFrom('', 'foreign', origin(1, 1), origin(3, 2));
    const one = fc.record({ topic: fc.constantFrom('t', 'u'), partition: fc.nat(3), offset, metadata });
    const any = fc.record({
      ...{ committed: fc.uniqueArray(one, { selector: (c) => `${c.topic}/${c.partition}` }), storedOffset: offset },
      startFromOffset: fc.integer({ min: 100, max: 200 }),
      onOffsetOutOfRange: fc.constantFrom('fail' as const, 'earliest' as const, 'latest' as const),
      isNewTopic: fc.boolean(),
    });
    fc.assert(
      fc.property(any, (given) => {
        const own = given.committed.find((c) => c.topic === 't' && c.partition === 0)?.offset;
        const known = given.storedOffset ?? own;
        const isOutside = known !== undefined && (known < 100 || known > 200);
        if (isOutside && given.onOffsetOutOfRange === 'fail') {
          expect(() => startOffset(question(given))).toThrow(OffsetOutOfRangeError);
          return;
        }
        const start = startOffset(question(given));
        expect(start.offset).toBeGreaterThanOrEqual(100);
        expect(start.offset).toBeLessThanOrEqual(200);
        if (known !== undefined && !isOutside) expect(start.offset).toBe(known);
        expect(start.committedOffset).toBe(own);
      }),
      { numRuns: 300 },
    );
  });

  it('is the same for two workers that ask at the same time, whichever commits first', () => {
    // Both see a group without offsets; then one sees what the other has committed.
    const first = startOffset(question({ partition: at('t', 0) }));
    const seen = [committed('t', 0, first.offset, first.metadata), committed('t', 1)];
    const before = startOffset(question({ partition: at('t', 1) }));
    const after = startOffset(question({ partition: at('t', 1), committed: seen }));
    expect(after).toEqual(before);
  });
});
