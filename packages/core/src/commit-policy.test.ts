import { describe, expect, it } from '@jest/globals';
import { type CommitState, commitDueAt } from './commit-policy.ts';

const policy = { everyMs: 1_000, everyRecords: 50 };
const state = (rest: Partial<CommitState>): CommitState => ({
  ...{ lastCommitAt: 10_000, finishedRecords: 1, idleSince: undefined },
  ...rest,
});

describe('commitDueAt', () => {
  it('is one period after the last commit while records are in flight', () => {
    expect(commitDueAt(policy, state({}))).toBe(11_000);
  });

  it('is at once when as many records are finished as the policy says', () => {
    expect(commitDueAt(policy, state({ finishedRecords: 49 }))).toBe(11_000);
    for (const finishedRecords of [50, 51])
      expect(commitDueAt(policy, state({ finishedRecords }))).toBe(Number.NEGATIVE_INFINITY);
  });

  it('is soon, but not at once, when nothing is in flight any more', () => {
    expect(commitDueAt(policy, state({ idleSince: 10_200 }))).toBe(10_300);
  });

  it('is never later for being idle', () => {
    expect(commitDueAt(policy, state({ idleSince: 10_990 }))).toBe(11_000);
    expect(commitDueAt({ ...policy, everyMs: 1 }, state({ idleSince: 10_500 }))).toBe(10_001);
  });

  it('never counts records for a policy without that', () => {
    const never = { everyMs: 1_000, everyRecords: Number.POSITIVE_INFINITY };
    expect(commitDueAt(never, state({ finishedRecords: 1e9 }))).toBe(11_000);
  });
});
