import { describe, expect, it } from '@jest/globals';
import { partitionsBehind } from './partitions-behind.ts';

const ends = new Map([
  [0, 5],
  [1, 7],
]);

describe('partitionsBehind', () => {
  it('names partitions whose next offset has not reached the end', () => {
    const owned = [
      { partition: 0, nextOffset: 5, frozen: [] },
      { partition: 1, nextOffset: 6, frozen: [] },
    ];
    expect(partitionsBehind(ends, owned)).toEqual({ here: [1], elsewhere: [] });
  });

  it('tells those that the worker does not have apart', () => {
    expect(partitionsBehind(ends, [{ partition: 1, nextOffset: 7, frozen: [] }])).toEqual({ here: [], elsewhere: [0] });
  });

  it('does not wait for a partition that is frozen, and waits for one with a frozen key', () => {
    const owned = [
      { partition: 0, nextOffset: 2, frozen: [{ scope: 'partition' as const }] },
      { partition: 1, nextOffset: 2, frozen: [{ scope: 'key' as const }] },
    ];
    expect(partitionsBehind(ends, owned)).toEqual({ here: [1], elsewhere: [] });
  });
});
