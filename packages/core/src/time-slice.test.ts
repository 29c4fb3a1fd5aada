import { describe, expect, it } from '@jest/globals';
import { TimeSlice } from './time-slice.ts';

/** Works without a pause: what a handler does that never awaits. */
function busyFor(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A slice that has just begun. */
async function freshSlice(): Promise<{ readonly slice: TimeSlice; readonly resumed: () => number }> {
  let resumed = 0;
  const slice = new TimeSlice(() => resumed++);
  while (slice.isUsedUp()) await nextTurn();
  const before = resumed;
  return { slice, resumed: () => resumed - before };
}

describe('TimeSlice', () => {
  it('is used up after about ten milliseconds of work, and asks for the event loop', async () => {
    const { slice, resumed } = await freshSlice();
    let calls = 0;
    const startedAt = performance.now();
    for (; !slice.isUsedUp() && calls < 1_000; calls++) busyFor(1.5);
    expect(performance.now() - startedAt).toBeGreaterThan(5);
    expect(calls).toBeLessThan(60);
    expect(slice.isUsedUp()).toBe(true);
    expect(resumed()).toBe(0);
    await nextTurn();
    expect(resumed()).toBe(1);
    expect(slice.isUsedUp()).toBe(false);
  });

  it('resumes once, however often it is asked meanwhile', async () => {
    const { slice, resumed } = await freshSlice();
    while (!slice.isUsedUp()) busyFor(2);
    for (let i = 0; i < 100; i++) expect(slice.isUsedUp()).toBe(true);
    await nextTurn();
    await nextTurn();
    expect(resumed()).toBe(1);
  });

  it('notices soon that handlers which were short have become long', async () => {
    const { slice } = await freshSlice();
    for (let i = 0; i < 1_000 && !slice.isUsedUp(); i++);
    let calls = 0;
    for (; !slice.isUsedUp() && calls < 100; calls++) busyFor(11);
    // At most the calls for which it does not look at the time.
    expect(calls).toBeLessThanOrEqual(4);
  });
});
