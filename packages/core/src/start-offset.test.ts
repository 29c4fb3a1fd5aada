import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GroupHistory } from './group-history.ts';
import { formatGroupOrigin, topicFingerprint } from './group-origin.ts';
import type { CommittedOffset } from './kafka-client.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import { type StartQuestion, startOffset } from './start-offset.ts';

const at = (topic: string, partition: number) => ({ topic, partition });
const origin = (partitions: number, ...topics: readonly string[]): string =>
  formatGroupOrigin({ partitions, topics: new Set(topics.map(topicFingerprint)) });

/** A committed offset, or none. */
function committed(topic: string, partition: number, offset?: number, metadata?: string): CommittedOffset {
  return { topic, partition, offset, metadata: offset === undefined ? undefined : (metadata ?? '') };
}

interface Given extends Partial<Omit<StartQuestion, 'history'>> {
  readonly committed?: readonly CommittedOffset[];
  readonly partitionCounts?: ReadonlyMap<string, number>;
  readonly isNewTopic?: boolean;
}

/** A partition with records 100 to 199, of a group that begins at the end. */
function question({ committed = [], partitionCounts, isNewTopic = false, ...rest }: Given): StartQuestion {
  return {
    partition: at('t', 0),
    history: new GroupHistory(committed, partitionCounts ?? new Map([['t', 3]]), () => isNewTopic),
    range: { earliest: 100, latest: 200 },
    startFromOffset: 200,
    onOffsetOutOfRange: 'fail',
    storedOffset: undefined,
    ...rest,
  };
}

describe('startOffset', () => {
  it('is the committed offset, also at either end of the log', () => {
    for (const offset of [100, 150, 200]) {
      const start = startOffset(question({ committed: [committed('t', 0, offset, origin(3, 't'))] }));
      expect(start).toEqual({ ...at('t', 0), offset, committedOffset: offset, metadata: origin(3, 't') });
    }
  });

  it('comes with the epoch that was committed, and with none where it is not the committed offset', () => {
    const withEpoch = { ...committed('t', 0, 150, origin(3, 't')), leaderEpoch: 7 };
    expect(startOffset(question({ committed: [withEpoch] }))).toMatchObject({ offset: 150, leaderEpoch: 7 });
    for (const moved of [
      question({ committed: [withEpoch], storedOffset: 120 }),
      question({ committed: [{ ...withEpoch, offset: 300 }], onOffsetOutOfRange: 'latest' }),
      question({ committed: [{ ...withEpoch, partition: 1 }] }),
      // What other clients say of it may be wrong.
      question({ committed: [{ ...withEpoch, metadata: undefined }] }),
      question({ committed: [{ ...withEpoch, metadata: 'of a tool' }] }),
    ])
      expect(startOffset(moved)).not.toHaveProperty('leaderEpoch');
  });

  it("is what the delivery's own store says, whatever is committed, and shows that nothing stands for it", () => {
    const start = startOffset(question({ storedOffset: 120, committed: [committed('t', 0, 150, origin(3, 't'))] }));
    expect(start).toMatchObject({ offset: 120, committedOffset: 150 });
    expect(startOffset(question({ storedOffset: 120 }))).toMatchObject({ offset: 120, committedOffset: undefined });
  });

  it('is where startFrom lies for a group without any offset, with the origin of the group for its first commit', () => {
    const partitionCounts = new Map([
      ['t', 3],
      ['u', 5],
    ]);
    expect(startOffset(question({ partitionCounts }))).toEqual({
      ...{ ...at('t', 0), offset: 200, committedOffset: undefined, metadata: origin(3, 't', 'u') },
    });
  });

  describe('when the offset to go on from is not in the log', () => {
    const outside: readonly [string, Given, number][] = [
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
      const start = startOffset(question({ partition: at('t', 3), committed: others(origin(3, 't')) }));
      expect(start).toMatchObject({ offset: 100, metadata: origin(3, 't') });
    });

    it('is where startFrom lies when it was there from the start and nobody has committed it yet', () => {
      const start = startOffset(question({ partition: at('t', 2), committed: others(origin(3, 't')) }));
      expect(start).toMatchObject({ offset: 200, metadata: origin(3, 't') });
    });

    it.each(['', 'foreign', '{"partitions":3,"topics":1}'])(
      'is its beginning when something else wrote the metadata (%j), which skips nothing',
      (metadata) => {
        expect(startOffset(question({ partition: at('t', 2), committed: others(metadata) })).offset).toBe(100);
      },
    );

    it('finds the origin also where only one of several partitions has it', () => {
      const mixed = [committed('t', 0, 150, 'foreign'), committed('t', 1, 150, origin(2, 't')), committed('t', 2)];
      expect(startOffset(question({ partition: at('t', 2), committed: mixed })).offset).toBe(100);
      expect(startOffset(question({ partition: at('t', 2), committed: mixed })).metadata).toBe(origin(2, 't'));
    });
  });

  describe('of a topic without any offset', () => {
    it('is its beginning when it was found after the worker had started', () => {
      expect(startOffset(question({ isNewTopic: true })).offset).toBe(100);
    });

    it('is its beginning when the group was not subscribed to it when it began, whatever has become of the others', () => {
      const known = [committed('a', 0, 5, origin(1, 'a', 'b')), committed('b', 0), committed('t', 0)];
      const start = startOffset(question({ committed: known }));
      expect(start).toMatchObject({ offset: 100, metadata: origin(3, 'a', 'b') });
    });

    it('is its beginning for each of its partitions, also when the first of them has its offset already', () => {
      const first = startOffset(question({ committed: [committed('a', 0, 5, origin(1, 'a')), committed('t', 0)] }));
      const seen = [committed('a', 0, 5, origin(1, 'a')), committed('t', 0, first.offset, first.metadata)];
      expect(startOffset(question({ partition: at('t', 1), committed: seen })).offset).toBe(100);
    });

    it('is where startFrom lies when the group was subscribed to it from the start', () => {
      const known = [committed('a', 0, 5, origin(1, 'a', 't')), committed('t', 0)];
      expect(startOffset(question({ committed: known })).offset).toBe(200);
    });

    it('is its beginning when what there is was committed by something else, for every worker that asks', () => {
      const known = [committed('a', 0, 5, 'foreign'), committed('t', 0), committed('t', 1)];
      const first = startOffset(question({ committed: known }));
      expect(first.offset).toBe(100);
      const seen = [
        committed('a', 0, 5, 'foreign'),
        committed('t', 0, first.offset, first.metadata),
        committed('t', 1),
      ];
      expect(startOffset(question({ partition: at('t', 1), committed: seen })).offset).toBe(100);
    });

    it('is its beginning when workers did not see it alike at the start', () => {
      const known = [
        committed('a', 0, 5, origin(1, 'a', 't')),
        committed('a', 1, 5, origin(2, 'a')),
        committed('t', 0),
      ];
      expect(startOffset(question({ committed: known })).offset).toBe(100);
    });

    it('is its beginning also for the next worker, when it was found by a group that had no topic', () => {
      const first = startOffset(question({ isNewTopic: true }));
      const seen = [committed('t', 0, first.offset, first.metadata), committed('t', 1)];
      expect(startOffset(question({ partition: at('t', 1), committed: seen })).offset).toBe(100);
    });
  });

  it('is the beginning of the rest of a topic that another client has committed in part, for every worker that asks', () => {
    const first = startOffset(question({ committed: [committed('t', 0, 150, 'foreign'), committed('t', 1)] }));
    const seen = [committed('t', 0, 160, first.metadata), committed('t', 1)];
    expect(startOffset(question({ partition: at('t', 1), committed: seen })).offset).toBe(100);
  });

  it('goes on from a committed offset also of a topic that is new to this worker', () => {
    expect(startOffset(question({ isNewTopic: true, committed: [committed('t', 0, 150)] })).offset).toBe(150);
  });

  it('counts a partition that the metadata does not show yet', () => {
    const start = startOffset(question({ partition: at('t', 7), partitionCounts: new Map() }));
    expect(start.metadata).toBe(origin(8, 't'));
  });

  it('lies inside the log, or fails, for whatever is committed', () => {
    const offset = fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined });
    const metadata = fc.constantFrom('', 'foreign', origin(1, 't'), origin(3, 't', 'u'), origin(2, 'u'));
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

  describe('of a group whose topics change', () => {
    const topics = fc.uniqueArray(fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 5 });
    const startsOf = (of: readonly string[]) =>
      fc.shuffledSubarray(
        of.flatMap((topic) => [at(topic, 0), at(topic, 1)]),
        { minLength: 1 },
      );
    const histories = fc.tuple(topics, topics).chain(([before, after]) => {
      const both = after.filter((topic) => before.includes(topic));
      return fc.record({
        before: fc.constant(before),
        after: fc.constant(after),
        // Something that is left of the group has an offset.
        begun: fc.tuple(startsOf(before), both.length > 0 ? startsOf(both) : fc.constant([])).map((all) => all.flat()),
        then: startsOf(after),
        isForeign: fc.boolean(),
      });
    });
    const key = (topic: string, partition: number): string => `${topic}/${partition}`;

    /** Starts partitions one after the other, each by a worker that sees what is committed then. */
    function start(
      partitions: readonly { topic: string; partition: number }[],
      subscribed: readonly string[],
      commits: Map<string, CommittedOffset>,
      isForeign = false,
    ): Map<string, number> {
      const started = new Map<string, number>();
      const partitionCounts = new Map(subscribed.map((topic) => [topic, 2]));
      for (const { topic, partition } of partitions) {
        const seen = subscribed.flatMap((one) => [0, 1].map((n) => commits.get(key(one, n)) ?? committed(one, n)));
        const { offset, metadata } = startOffset(
          question({ partition: at(topic, partition), committed: seen, partitionCounts }),
        );
        commits.set(key(topic, partition), committed(topic, partition, offset, isForeign ? 'foreign' : metadata));
        if (!started.has(key(topic, partition))) started.set(key(topic, partition), offset);
      }
      return started;
    }

    it('is where startFrom lies for all that was there at the start, in whatever order, and the beginning for what came later', () => {
      fc.assert(
        fc.property(histories, ({ before, after, begun, then, isForeign }) => {
          const commits = new Map<string, CommittedOffset>();
          for (const offset of start(begun, before, commits, isForeign).values()) {
            if (!isForeign) expect(offset).toBe(200);
          }
          const known = new Set(commits.keys());
          // The offsets of a topic that is gone are not seen any more.
          if (!after.some((topic) => known.has(key(topic, 0)) || known.has(key(topic, 1)))) return;
          for (const [one, offset] of start(then, after, commits)) {
            const [topic = ''] = one.split('/');
            if (known.has(one)) expect(offset).toBe(commits.get(one)?.offset);
            else expect([one, offset]).toEqual([one, before.includes(topic) && !isForeign ? 200 : 100]);
          }
        }),
        { numRuns: 1_000 },
      );
    });
  });
});
