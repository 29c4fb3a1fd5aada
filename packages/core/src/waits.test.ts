import { describe, expect, it } from '@jest/globals';
import { VirtualClock } from './testing/virtual-clock.ts';
import { Waits } from './waits.ts';

describe('Waits', () => {
  it('wait as long as they are told', async () => {
    const clock = new VirtualClock();
    const waits = new Waits(clock);
    let waited = 0;
    void waits.wait(100).then(() => waited++);
    await clock.advance(99);
    expect(waited).toBe(0);
    await clock.advance(1);
    expect(waited).toBe(1);
  });

  it('end at once when they are closed, and never begin after that', async () => {
    const clock = new VirtualClock();
    const waits = new Waits(clock);
    const both = Promise.all([waits.wait(1_000), waits.wait(2_000)]);
    waits.close();
    await both;
    await waits.wait(1_000);
    expect(clock.now()).toBe(new VirtualClock().now());
  });

  it('for a promise end with it, at their time, or when they are closed, and leave no timer', async () => {
    const clock = new VirtualClock();
    const waits = new Waits(clock);
    expect(await waits.within(Promise.resolve(), 1_000)).toBe(true);
    await expect(waits.within(Promise.reject(new Error('no')), 1_000)).rejects.toThrow('no');
    expect(clock.pendingTimers).toBe(0);
    const never = new Promise(() => {});
    const late = waits.within(never, 1_000);
    await clock.advance(1_000);
    expect(await late).toBe(false);
    const closed = waits.within(never, 1_000);
    waits.close();
    expect(await closed).toBe(false);
    expect(clock.pendingTimers).toBe(0);
    expect(await waits.within(never, 1_000)).toBe(false);
  });
});
