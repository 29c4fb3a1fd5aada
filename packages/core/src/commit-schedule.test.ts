import { describe, expect, it } from '@jest/globals';
import { CommitSchedule } from './commit-schedule.ts';

const policy = { everyMs: 1_000, everyRecords: 100 };
const failed = { isOnItsWay: false, isBehind: false };

describe('CommitSchedule', () => {
  it('is due after the time, and at once after so many records', () => {
    const schedule = new CommitSchedule(policy, 0);
    schedule.noteProgress(99);
    expect([schedule.dueAt(10), schedule.waitsForTime]).toEqual([1_000, true]);
    schedule.noteProgress(1);
    expect([schedule.dueAt(10) <= 10, schedule.waitsForTime]).toEqual([true, false]);
    schedule.began(10);
    expect([schedule.dueAt(10), schedule.waitsForTime]).toEqual([1_010, true]);
  });

  it('is due soon after the last record in flight, and not while others came', () => {
    const schedule = new CommitSchedule(policy, 0);
    schedule.noteIdle(true, 50);
    schedule.noteIdle(true, 60);
    expect([schedule.dueAt(60), schedule.waitsForTime]).toEqual([150, false]);
    schedule.noteIdle(false, 70);
    expect(schedule.dueAt(70)).toBe(1_000);
  });

  it('waits longer and longer while commits fail, whatever there is to commit, and begins anew with one that succeeds', () => {
    const schedule = new CommitSchedule(policy, 0);
    const waits = Array.from({ length: 8 }, () => {
      schedule.began(1_000);
      schedule.ended(failed);
      schedule.noteProgress(1_000);
      return schedule.dueAt(1_000) - 1_000;
    });
    expect([waits, schedule.failures]).toEqual([[100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000], 8]);
    schedule.began(2_000);
    schedule.ended({ isOnItsWay: true, isBehind: false });
    expect([schedule.dueAt(2_000), schedule.failures]).toEqual([3_000, 0]);
  });

  it('is due at once where there was more than one commit takes', () => {
    const schedule = new CommitSchedule(policy, 0);
    schedule.began(500);
    schedule.ended({ isOnItsWay: true, isBehind: true });
    expect([schedule.dueAt(500), schedule.waitsForTime]).toEqual([500, false]);
  });
});
