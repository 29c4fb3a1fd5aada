import { describe, expect, it } from '@jest/globals';
import { NearestReplica } from './nearest-replica.ts';

const MINUTE_MS = 60_000;

describe('NearestReplica', () => {
  it('is asked for some minutes, and what it is asked at their end is still answered by it', () => {
    const nearest = new NearestReplica();
    nearest.named(2, 0);
    expect([nearest.at(0, false), nearest.at(10 * MINUTE_MS, false), nearest.at(10 * MINUTE_MS, true)]).toEqual([
      ...[2, undefined, 2],
    ]);
  });

  it('is not asked for when it has failed, for longer and longer until one has answered', () => {
    const nearest = new NearestReplica();
    const waits = Array.from({ length: 6 }, () => {
      nearest.named(2, 0);
      nearest.failed(0);
      expect(nearest.at(0, true)).toBeUndefined();
      let ms = 0;
      while (nearest.isLeaderOnlyAt(ms)) ms += 1_000;
      return ms / 1_000;
    });
    expect(waits).toEqual([5, 10, 20, 40, 60, 60]);
    nearest.named(2, 0);
    nearest.answered();
    nearest.failed(0);
    expect([nearest.isLeaderOnlyAt(4_999), nearest.isLeaderOnlyAt(5_000)]).toEqual([true, false]);
  });

  it('is asked for although the leader has failed, or has answered meanwhile', () => {
    const nearest = new NearestReplica();
    nearest.failed(0);
    expect(nearest.isLeaderOnlyAt(0)).toBe(false);
    nearest.named(2, 0);
    nearest.failed(0);
    nearest.answered();
    nearest.named(2, 0);
    nearest.failed(0);
    expect(nearest.isLeaderOnlyAt(9_000)).toBe(true);
  });
});
