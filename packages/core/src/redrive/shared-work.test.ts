import { describe, expect, it } from '@jest/globals';
import type { NextOffset } from '../record.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import type { Worker } from '../worker.ts';
import { type RedriveOptions, resolveRedriveOptions } from './redrive-options.ts';
import { RedriveScope } from './redrive-scope.ts';
import type { RedriveSurvey } from './redrive-survey.ts';
import { SharedWork } from './shared-work.ts';

const at = (partition: number, offset: number): NextOffset => ({ topic: 't', partition, offset });

/** Partition 0 is ours, partition 1 another's; both have 10 records, and 20 by now. */
function shared(options: Partial<RedriveOptions> = {}) {
  const clock = new VirtualClock();
  const span = { topic: 't', start: 0, end: 10, stale: undefined };
  const scope = new RedriveScope('t', [
    { ...span, partition: 0 },
    { ...span, partition: 1 },
  ]);
  const committed = new Map<number, number>();
  let resumed = 0;
  const survey = {
    committed: (asked: readonly NextOffset[]) =>
      Promise.resolve(asked.map(({ partition }) => at(partition, committed.get(partition) ?? 0))),
    ends: (asked: readonly NextOffset[]) => Promise.resolve(asked.map(({ partition }) => at(partition, 20))),
  } as unknown as RedriveSurvey;
  const worker = {
    status: () => ({ partitions: [{ topic: 't', partition: 0 }] }),
    resume: () => resumed++,
  } as unknown as Worker;
  const kafka = { consumer: () => undefined } as unknown as RedriveOptions['kafka'];
  const resolved = resolveRedriveOptions({ kafka, from: 't', clock, ...options });
  const work = new SharedWork(resolved, survey, scope, worker, () => {});
  work.watch();
  return { clock, scope, committed, work, resumed: () => resumed };
}

describe('work that several redrives share', () => {
  it('counts as done what another one has committed', async () => {
    const { clock, scope, committed, work } = shared();
    scope.committed(at(0, 10));
    committed.set(1, 4);
    await clock.advance(1_000);
    expect(scope.left).toBe(6);
    committed.set(1, 10);
    await clock.advance(1_000);
    expect(scope.isDone).toBe(true);
    work.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  it('goes on behind the first end when it is done with its own, and nothing moves: the other may wait for that', async () => {
    const { clock, scope, work, resumed } = shared();
    scope.committed(at(0, 10));
    await clock.advance(59_000);
    expect([scope.has(at(0, 15)), resumed()]).toEqual([false, 0]);
    await clock.advance(5_000);
    expect([scope.has(at(0, 15)), scope.has(at(1, 15)), resumed()]).toEqual([true, false, 1]);
    work.stop();
  });

  it('does not while there is work of its own, or the other one moves', async () => {
    const { clock, scope, committed, work, resumed } = shared();
    await clock.advance(120_000);
    scope.committed(at(0, 10));
    for (let offset = 1; offset < 5; offset++) {
      committed.set(1, offset);
      await clock.advance(50_000);
    }
    expect([scope.has(at(0, 15)), resumed()]).toEqual([false, 0]);
    work.stop();
  });

  it('takes nothing of the group for progress in a dry run', async () => {
    const { clock, scope, committed, work } = shared({ dryRun: true });
    committed.set(1, 10);
    await clock.advance(10_000);
    expect(scope.left).toBe(20);
    work.stop();
  });
});
