import { describe, expect, it } from '@jest/globals';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

const freeze = always({ do: 'freeze', scope: 'partition' });

function stageOf(keys: readonly (readonly (string | null)[])[], rest: StageOptions = {}): Stage {
  return new Stage(keys, { onFailure: freeze, ...rest });
}

describe('a paused partition', () => {
  it('starts nothing, takes nothing more, and goes on in its order when it is resumed', async () => {
    const stage = stageOf([['a', 'b', 'c'], ['a']]);
    stage.hold('0@0');
    await stage.start();
    stage.worker.pause([at(0)]);
    stage.send(0, ['d']);
    stage.send(1, ['b']);
    await stage.advance(2_000);
    // What runs may end.
    await stage.open('0@0');
    await stage.advance(5_000);
    expect(stage.calls).toEqual(['0@0', '1@0', '1@1']);
    expect([stage.committed(0), stage.committed(1)]).toEqual([1, 2]);
    expect([stage.status(0).isPaused, stage.status(1).isPaused]).toEqual([true, false]);
    expect(stage.reasons()).toBe('t/0 is paused');
    stage.worker.resume([at(0)]);
    await stage.advance(2_000);
    expect(stage.calls.slice(3)).toEqual(['0@1', '0@2', '0@3']);
    expect(stage.reasons()).toBe('');
    expect(await stage.end()).toEqual([]);
  });

  it('keeps what waits for a retry, which goes before the rest of its lane', async () => {
    const stage = stageOf([['a', 'a', 'b']], {
      concurrency: laneStrategy(lanes.perKey),
      onFailure: always({ do: 'retry', afterMs: 100 }),
    });
    stage.fail('0@0');
    await stage.start();
    stage.worker.pause();
    await stage.advance(5_000);
    expect(stage.calls).toEqual(['0@0', '0@2']);
    stage.heal('0@0');
    stage.worker.resume();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@2', '0@0', '0@1']);
    expect(stage.attempts.get('0@0')).toBe(2);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('may be paused before the worker starts, and before it is assigned', async () => {
    const stage = stageOf([['a'], ['a']]);
    await stage.start({}, (worker) => worker.pause([at(0), { topic: 'elsewhere', partition: 7 }]));
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['1@0']);
    stage.worker.resume([at(0)]);
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['1@0', '0@0']);
    expect(await stage.end()).toEqual([]);
  });

  it('may be resumed before the worker starts', async () => {
    const stage = stageOf([['a']]);
    await stage.start({}, (worker) => {
      worker.pause();
      worker.resume();
    });
    await stage.advance(100);
    expect(stage.calls).toEqual(['0@0']);
    expect(await stage.end()).toEqual([]);
  });

  it('is still paused when it is assigned again, and when it was sought', async () => {
    const stage = stageOf([['a', 'b']]);
    await stage.start({}, (worker) => worker.pause([at(0)]));
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(100);
    stage.kafka.group('g').rebalance();
    await stage.advance(2_000);
    expect([stage.calls, stage.status().isPaused]).toEqual([[], true]);
    const sought = stage.worker.seek(at(0), 1);
    await stage.advance(2_000);
    await sought;
    expect([stage.calls, stage.status().isPaused]).toEqual([[], true]);
    stage.worker.resume([at(0)]);
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@1']);
    await stage.stop();
  });

  it('takes nothing of the in-flight limit from the others', async () => {
    const keys = Array.from({ length: 50 }, (_, i) => `${i}`);
    const stage = stageOf([keys, []], { limits: { inFlightRecords: 10 } });
    stage.hold('0@0');
    await stage.start();
    stage.worker.pause([at(0)]);
    stage.send(1, keys);
    await stage.advance(5_000);
    expect(stage.committed(1)).toBe(50);
    await stage.stop();
  });

  it('is left by a stop, also by one that drains', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.hold('0@0');
    await stage.start();
    stage.worker.pause();
    await stage.open('0@0');
    expect(await stage.stop({ mode: 'drain' })).toMatchObject({ state: 'stopped', left: [{ offset: 1 }] });
    expect(stage.calls).toEqual(['0@0']);
  });
});

describe('all partitions', () => {
  it('are paused at once, also those assigned later, but for those that were resumed since', async () => {
    const stage = stageOf([['a'], ['a'], ['a']]);
    await stage.start({}, (worker) => {
      worker.pause();
      worker.resume([at(1)]);
    });
    await stage.advance(1_000);
    expect(stage.calls).toEqual(['1@0']);
    stage.kafka.group('g').revoke([at(1), at(2)]);
    await stage.advance(100);
    stage.kafka.group('g').rebalance();
    stage.send(1, ['b']);
    await stage.advance(1_000);
    expect(stage.calls).toEqual(['1@0', '1@1']);
    stage.worker.pause();
    stage.send(1, ['c']);
    await stage.advance(1_000);
    expect(stage.calls).toEqual(['1@0', '1@1']);
    stage.worker.resume();
    await stage.advance(1_000);
    expect([...stage.calls].sort()).toEqual(['0@0', '1@0', '1@1', '1@2', '2@0']);
    expect(await stage.end()).toEqual([]);
  });

  it('are resumed at once, also those that were paused by name', async () => {
    const stage = stageOf([['a'], ['a']]);
    await stage.start({}, (worker) => worker.pause([at(0)]));
    stage.worker.resume();
    await stage.advance(1_000);
    expect([...stage.calls].sort()).toEqual(['0@0', '1@0']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a partition that is frozen and paused', () => {
  it.each([
    [['pause', 'resume', 'unfreeze']],
    [['pause', 'unfreeze', 'resume']],
    [['pause', 'skip', 'resume']],
    [['pause', 'resume', 'skip']],
    [['pause', 'pause', 'unfreeze', 'resume', 'resume']],
  ])('goes on when both have ended: %j', async (steps) => {
    const stage = stageOf([['a', 'b', 'c'], ['a']]);
    stage.fail('0@1');
    await stage.start();
    await stage.advance(100);
    const isSkipped = steps.includes('skip');
    if (!isSkipped) stage.heal('0@1');
    for (const [i, step] of steps.entries()) {
      const before = stage.calls.length;
      if (step === 'pause') stage.worker.pause([at(0)]);
      else if (step === 'resume') stage.worker.resume([at(0)]);
      else await stage.worker.unfreeze({ ...at(0), skip: step === 'skip' });
      await stage.advance(1_000);
      const isOver = !steps.slice(i + 1).some((next) => next !== step);
      if (!isOver) expect(stage.calls).toHaveLength(before);
    }
    stage.send(0, ['d']);
    await stage.advance(2_000);
    const handled = stage.handled.filter((name) => name.startsWith('0'));
    expect(handled).toEqual(isSkipped ? ['0@0', '0@2', '0@3'] : ['0@0', '0@1', '0@2', '0@3']);
    expect(stage.committed(0)).toBe(4);
    expect(stage.worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it('was paused when a record of it failed: it is frozen too, and needs both', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.hold('0@0');
    stage.fail('0@0');
    await stage.start();
    stage.worker.pause([at(0)]);
    await stage.open('0@0');
    await stage.advance(100);
    expect(stage.status()).toMatchObject({ isPaused: true, frozen: [{ offset: 0 }] });
    stage.heal('0@0');
    stage.worker.resume([at(0)]);
    await stage.advance(1_000);
    expect(stage.calls).toEqual(['0@0']);
    await stage.worker.unfreeze(at(0));
    await stage.advance(1_000);
    expect(stage.handled).toEqual(['0@0', '0@1']);
    expect(await stage.end()).toEqual([]);
  });

  it('is only paused when it comes back after a rebalance', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.fail('0@0');
    await stage.start();
    stage.worker.pause([at(0)]);
    stage.kafka.group('g').lose([at(0)]);
    await stage.advance(100);
    stage.kafka.group('g').rebalance();
    await stage.advance(1_000);
    expect(stage.status()).toMatchObject({ isPaused: true, frozen: [] });
    stage.heal('0@0');
    stage.worker.resume([at(0)]);
    await stage.advance(1_000);
    expect(stage.handled).toEqual(['0@0', '0@1']);
    expect(await stage.end()).toEqual([]);
  });
});
