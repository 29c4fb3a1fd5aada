import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatGroupOrigin, parseGroupOrigin } from './group-origin.ts';

describe('the origin of a group', () => {
  it('comes back from the metadata as it was written', () => {
    const origin = fc.record({ partitions: fc.integer({ min: 1 }), topics: fc.integer({ min: 1 }) });
    fc.assert(fc.property(origin, (one) => expect(parseGroupOrigin(formatGroupOrigin(one))).toEqual(one)));
  });

  it('is short enough for the metadata limit of a broker', () => {
    const largest = { partitions: Number.MAX_SAFE_INTEGER, topics: Number.MAX_SAFE_INTEGER };
    expect(formatGroupOrigin(largest).length).toBeLessThan(128);
  });

  it('ignores what a later version may add', () => {
    expect(parseGroupOrigin('{"partitions":3,"topics":2,"more":[1]}')).toEqual({ partitions: 3, topics: 2 });
  });

  it.each([
    ...[undefined, '', ' ', 'null', 'true', '7', '"text"', '[]', '{}', 'not json', '{"partitions":3'],
    ...['{"partitions":3}', '{"topics":3}', '{"partitions":0,"topics":1}', '{"partitions":1.5,"topics":1}'],
    ...['{"partitions":"3","topics":1}', '{"partitions":-1,"topics":1}', '{"partitions":1e99,"topics":1}'],
  ])('is not read from foreign metadata: %s', (metadata) => {
    expect(parseGroupOrigin(metadata)).toBeUndefined();
  });

  it('is never misread, whatever stands there', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (metadata) => {
        const origin = parseGroupOrigin(metadata);
        if (origin !== undefined) expect(JSON.parse(metadata)).toMatchObject(origin);
      }),
    );
  });
});
