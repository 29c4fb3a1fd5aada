import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { commonOrigin, formatGroupOrigin, parseGroupOrigin, topicFingerprint } from './group-origin.ts';

const fingerprints = (...topics: readonly string[]): ReadonlySet<string> => new Set(topics.map(topicFingerprint));

describe('the origin of a group', () => {
  it('comes back from the metadata as it was written', () => {
    const topics = fc.array(fc.string({ minLength: 1 }), { maxLength: 400 }).map((names) => fingerprints(...names));
    const origin = fc.record({ partitions: fc.nat(), topics });
    fc.assert(fc.property(origin, (one) => expect(parseGroupOrigin(formatGroupOrigin(one))).toEqual(one)));
  });

  it('knows a topic by a few characters that are always the same', () => {
    expect(topicFingerprint('orders')).toBe('HBaK2w');
    expect(topicFingerprint('orders')).not.toBe(topicFingerprint('order'));
  });

  it('is short enough for the metadata limit of a broker, and forgets topics rather than to be too long', () => {
    const names = Array.from({ length: 2_000 }, (_, i) => `topic-${i}`);
    const metadata = formatGroupOrigin({ partitions: Number.MAX_SAFE_INTEGER, topics: fingerprints(...names) });
    expect(metadata.length).toBeLessThan(4_096);
    const topics = parseGroupOrigin(metadata)?.topics ?? new Set<string>();
    expect(topics.size).toBe(500);
    expect([...topics].every((one) => fingerprints(...names).has(one))).toBe(true);
    const reversed = { partitions: Number.MAX_SAFE_INTEGER, topics: fingerprints(...names.reverse()) };
    expect(formatGroupOrigin(reversed)).toBe(metadata);
  });

  it('is what all agree on, where they differ', () => {
    const one = { partitions: 3, topics: fingerprints('a', 'b') };
    const other = { partitions: 2, topics: fingerprints('b', 'c') };
    expect(commonOrigin(one, other)).toEqual({ partitions: 2, topics: fingerprints('b') });
  });

  it('ignores what a later version may add', () => {
    const origin = { partitions: 3, topics: new Set(['abcdef']) };
    expect(parseGroupOrigin('{"partitions":3,"topics":"abcdef","more":[1]}')).toEqual(origin);
  });

  it.each([
    ...[undefined, '', ' ', 'null', 'true', '7', '"text"', '[]', '{}', 'not json', '{"partitions":3'],
    ...['{"partitions":3}', '{"topics":"abcdef"}', '{"partitions":-1,"topics":""}', '{"partitions":1.5,"topics":""}'],
    ...['{"partitions":"3","topics":""}', '{"partitions":3,"topics":1}', '{"partitions":1e99,"topics":""}'],
    ...[
      '{"partitions":3,"topics":"abcde"}',
      '{"partitions":3,"topics":"abc ef"}',
      '{"partitions":3,"topics":["abcdef"]}',
    ],
  ])('is not read from foreign metadata: %s', (metadata) => {
    expect(parseGroupOrigin(metadata)).toBeUndefined();
  });

  it('is never misread, whatever stands there', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (metadata) => {
        const origin = parseGroupOrigin(metadata);
        if (origin === undefined) return;
        const read = JSON.parse(metadata) as { partitions: number; topics: string };
        expect([read.partitions, read.topics.length]).toEqual([origin.partitions, 6 * origin.topics.size]);
      }),
    );
  });
});
