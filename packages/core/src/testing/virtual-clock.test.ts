import { describe, expect, it } from '@jest/globals';
import { VirtualClock } from './virtual-clock.ts';

describe('VirtualClock', () => {
  it('stands still until it is advanced', async () => {
    const clock = new VirtualClock({ startMs: 1_000 });
    await clock.settle();
    expect(clock.now()).toBe(1_000);
    await clock.advance(5);
    expect(clock.now()).toBe(1_005);
  });

  it('fires timers in the order in which they are due, then in the order in which they were set', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    clock.setTimeout(() => fired.push('late'), 20);
    clock.setTimeout(() => fired.push('first of two'), 10);
    clock.setTimeout(() => fired.push('second of two'), 10);
    await clock.advance(20);
    expect(fired).toEqual(['first of two', 'second of two', 'late']);
  });

  it('fires a timer at its own time, not at the end of the advance', async () => {
    const clock = new VirtualClock({ startMs: 0 });
    const seen: number[] = [];
    clock.setTimeout(() => seen.push(clock.now()), 3);
    await clock.advance(10);
    expect(seen).toEqual([3]);
  });

  it('lets what a timer resolved settle before the next timer fires', async () => {
    const clock = new VirtualClock({ startMs: 0 });
    const seen: string[] = [];
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, ms));
    void (async () => {
      await wait(1);
      for (let i = 0; i < 50; i++) await Promise.resolve();
      seen.push('settled');
    })();
    clock.setTimeout(() => seen.push('second timer'), 2);
    await clock.advance(2);
    expect(seen).toEqual(['settled', 'second timer']);
  });

  it('fires timers that are set while it advances, if they are due in time', async () => {
    const clock = new VirtualClock({ startMs: 0 });
    const seen: number[] = [];
    const tick = (): void => {
      seen.push(clock.now());
      clock.setTimeout(tick, 4);
    };
    clock.setTimeout(tick, 4);
    await clock.advance(13);
    expect(seen).toEqual([4, 8, 12]);
    expect(clock.now()).toBe(13);
    expect(clock.pendingTimers).toBe(1);
  });

  it('does not fire what was cleared', async () => {
    const clock = new VirtualClock();
    let fired = 0;
    clock.setTimeout(() => fired++, 1).clear();
    await clock.advance(10);
    expect(fired).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('hands on what a timer throws and can be used afterwards', async () => {
    const clock = new VirtualClock({ startMs: 0 });
    clock.setTimeout(() => {
      throw new Error('boom');
    }, 1);
    await expect(clock.advance(5)).rejects.toThrow('boom');
    await clock.advance(5);
    expect(clock.now()).toBe(6);
  });

  it('ends with an error when timers set themselves again without a delay', async () => {
    const clock = new VirtualClock();
    let count = 0;
    const again = (): void => {
      // A chain long enough to be endless for the clock, and short enough to end if the bound were missing.
      if (count++ < 20_000) clock.setTimeout(again, 0);
    };
    again();
    await expect(clock.advance(1)).rejects.toThrow('timers fired in one advance');
  });

  it('refuses to be advanced twice at once', async () => {
    const clock = new VirtualClock();
    const first = clock.advance(1);
    await expect(clock.advance(1)).rejects.toThrow('advanced already');
    await first;
  });
});
