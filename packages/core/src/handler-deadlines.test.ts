import { describe, expect, it } from '@jest/globals';
import { HandlerTimeoutError, StuckHandlerError } from './handler-errors.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

const skip = always({ do: 'skip' });

function stageOf(keys: readonly (readonly (string | null)[])[], rest: StageOptions = {}): Stage {
  return new Stage(keys, { onFailure: skip, handlerTimeoutMs: 1_000, stuckAfterMs: 5_000, ...rest });
}

describe('a handler that does not return in its time', () => {
  it('is asked to by its signal, and its record fails when it has returned, although it succeeds', async () => {
    const stage = stageOf([['a', 'b'], ['c']]);
    stage.hold('0@0');
    await stage.start();
    await stage.advance(985);
    expect(stage.signals.get('0@0')?.aborted).toBe(false);
    await stage.advance(10);
    expect(stage.signals.get('0@0')?.reason).toBeInstanceOf(HandlerTimeoutError);
    expect(String(stage.signals.get('0@0')?.reason)).toContain(
      't/0 offset 0: its handler did not return within 1000 ms',
    );
    await stage.advance(3_000);
    // Nothing is decided, nor begun in its lane, as long as it may still write.
    expect([stage.events, stage.calls, stage.committed(0)]).toEqual([[], ['0@0', '1@0'], 0]);
    expect(stage.reasons()).toBe('t/0: offset 0: its time is up, but its handler has not returned for 3 s');
    await stage.open('0@0');
    await stage.advance(2_000);
    expect(stage.events).toEqual(['skipped 0@0']);
    expect(stage.calls.at(-1)).toBe('0@1');
    expect(stage.committed(0)).toBe(2);
    expect(stage.reasons()).toBe('');
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    ['retried', always({ do: 'retry', afterMs: 100 })],
    ['written as a dead letter', always({ do: 'dead-letter', topic: 'dead' })],
    ['frozen', always({ do: 'freeze', scope: 'partition' })],
  ])('is not %s before it has returned', async (_what, onFailure) => {
    const stage = stageOf([['a', 'b']], { onFailure });
    stage.hold('0@0');
    await stage.start();
    await stage.advance(4_000);
    expect([stage.calls, stage.events, stage.dead()]).toEqual([['0@0'], [], []]);
    await stage.open('0@0');
    await stage.advance(2_000);
    expect(stage.calls.length + stage.events.length).toBeGreaterThan(1);
    expect(await stage.end()).toEqual([]);
  });

  it('has failed with that, whatever it throws because of it', async () => {
    const stage = stageOf([['a']]);
    const errors: unknown[] = [];
    stage.hold('0@0');
    stage.fail('0@0', new Error('aborted'));
    await stage.start({}, (worker) => void worker.on('failed', ({ error }) => void errors.push(error)));
    await stage.advance(2_000);
    await stage.open('0@0');
    expect(errors).toEqual([expect.any(HandlerTimeoutError)]);
    expect(await stage.end()).toEqual([]);
  });

  it('gets the whole time again in its next attempt, with a signal of its own', async () => {
    const stage = stageOf([['a']], { onFailure: always({ do: 'retry', afterMs: 100 }) });
    stage.durations.set('0@0', 1_500);
    await stage.start();
    await stage.advance(1_200);
    const first = stage.signals.get('0@0');
    stage.durations.set('0@0', 900);
    await stage.advance(700);
    expect(stage.signals.get('0@0')).not.toBe(first);
    await stage.advance(2_000);
    expect(stage.handled).toEqual(['0@0', '0@0']);
    expect(stage.attempts.get('0@0')).toBe(2);
    expect(stage.committed()).toBe(1);
    expect(await stage.end()).toEqual([]);
  });

  it('has failed also when it never waits', async () => {
    const stage = stageOf([['a', 'b']]);
    const { clock } = stage.kafka;
    let now = 0;
    const jumping = {
      now: () => clock.now() + now,
      setTimeout: (run: () => void, ms: number) => clock.setTimeout(run, ms),
    };
    stage.failing.set('0@0', () => {
      now += 1_001;
    });
    await stage.start({ clock: jumping });
    await stage.advance(3_000);
    expect(stage.events).toEqual(['skipped 0@0']);
    expect(stage.handled).toEqual(['0@0', '0@1']);
    await stage.stop();
  });

  it('is waited for with what it has sent', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.hold('0@0');
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    stage.contexts.get('0@0')?.send({ topic: 'dead', value: 'sent' });
    await stage.advance(2_000);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect([stage.calls, stage.events]).toEqual([['0@0'], []]);
    hold.release();
    await stage.advance(2_000);
    expect([stage.calls, stage.events]).toEqual([['0@0', '0@1'], ['skipped 0@0']]);
    expect(await stage.end()).toEqual([]);
  });

  it('is in time when only what it has sent is late', async () => {
    const stage = stageOf([['a', 'b']]);
    stage.hold('0@0');
    const hold = stage.kafka.hold('send-answer');
    await stage.start();
    stage.contexts.get('0@0')?.send({ topic: 'dead', value: 'sent' });
    await stage.open('0@0');
    await stage.advance(5_000);
    hold.release();
    await stage.advance(2_000);
    expect(stage.events).toEqual([]);
    expect(stage.committed()).toBe(2);
    expect(await stage.end()).toEqual([]);
  });

  it('fails its whole batch, also the records that it failed alone', async () => {
    const stage = stageOf([['a', 'b', 'c']], { isBatch: true, batch: { maxRecords: 2 } });
    stage.hold('0@1');
    stage.failingAlone.set('0@0', new Error('no'));
    const failures: [number, unknown][] = [];
    await stage.start(
      {},
      (worker) => void worker.on('failed', ({ record, error }) => void failures.push([record.offset, error])),
    );
    await stage.advance(2_000);
    await stage.open('0@1');
    await stage.advance(2_000);
    expect(failures).toEqual([[0, expect.any(HandlerTimeoutError)]]);
    expect(stage.events).toEqual(['skipped 0@0', 'skipped 0@1']);
    expect(stage.batches).toEqual(['0@0 0@1', '0@2']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('handlers of which some are overdue', () => {
  it('are each asked in their own time', async () => {
    const stage = stageOf([['a'], ['b'], ['c']], { stuckAfterMs: 60_000 });
    stage.hold('0@0', '1@0', '1@1', '2@0');
    await stage.start();
    const isAborted = (name: string): boolean | undefined => stage.signals.get(name)?.aborted;
    await stage.advance(400);
    await stage.open('1@0');
    await stage.advance(1_000);
    expect([isAborted('0@0'), isAborted('2@0')]).toEqual([true, true]);
    // Nothing else runs in time now: the next one begins behind those that are overdue.
    await stage.advance(2_000);
    stage.send(1, ['b']);
    await stage.advance(990);
    expect(isAborted('1@1')).toBe(false);
    await stage.advance(20);
    expect(isAborted('1@1')).toBe(true);
    expect(await stage.end()).toEqual([]);
  });

  it('leave no timer behind when they have returned', async () => {
    const stage = stageOf([['a', 'b', 'c']]);
    await stage.start();
    for (let i = 0; i < 3; i++) stage.durations.set(`0@${i + 3}`, 300);
    stage.send(0, ['d', 'e', 'f']);
    await stage.advance(5_000);
    expect(stage.committed()).toBe(6);
    await stage.stop();
    expect(stage.kafka.clock.pendingTimers).toBe(0);
  });
});

describe('a handler that ignores its aborted signal', () => {
  it('ends the worker, which does not give its partition to anybody before', async () => {
    const stage = stageOf([['a', 'b'], ['a']]);
    stage.hold('0@0');
    await stage.start();
    await stage.advance(5_900);
    expect([stage.worker.state, stage.events]).toEqual(['running', []]);
    await stage.advance(200);
    expect(stage.events).toEqual(['stuck 0@0 5000']);
    expect(stage.kafka.group('g').assignment()).toContainEqual(at(0));
    await stage.advance(60_000);
    await expect(stage.worker.finished).rejects.toMatchObject({ code: 'STUCK_HANDLER', partitions: [at(0)] });
    expect([stage.committed(0), stage.committed(1)]).toEqual([0, 1]);
    expect(stage.errors[0]).toMatchObject({
      message: 'a handler ignores its aborted signal',
      fields: { offset: 0, then: 'fail' },
    });
    await stage.open('0@0');
    await stage.advance(1_000);
    // It has returned, so what the policy says about its timeout is done, and its partition is free.
    expect([stage.committed(0), stage.kafka.group('g').size]).toEqual([1, 0]);
    expect(stage.broken).toEqual([]);
  });

  it('is given up under release: the policy decides, its slot is free, and what it still does counts for nothing', async () => {
    const stage = stageOf([['a', 'b', 'c']], {
      onStuckHandler: 'release',
      onFailure: always({ do: 'retry', afterMs: 100 }),
    });
    stage.hold('0@0');
    await stage.start();
    const late = stage.contexts.get('0@0');
    stage.durations.set('0@0', 50);
    const open = stage.open.bind(stage, '0@0');
    // Only the first call waits.
    await stage.advance(5_900);
    const before = stage.calls.length;
    stage.release('0@0');
    await stage.advance(1_000);
    expect(before).toBe(1);
    expect(stage.calls).toEqual(['0@0', '0@0', '0@1', '0@2']);
    expect(stage.attempts.get('0@0')).toBe(2);
    expect(stage.committed()).toBe(3);
    expect(stage.events).toEqual(['stuck 0@0 5000']);
    expect(stage.reasons()).toContain('its time is up, but its handler has not returned for');
    expect(() => late?.send({ topic: 'dead', value: 'late' })).toThrow('context.send was called after the handler');
    await open();
    await stage.advance(1_000);
    expect(stage.reasons()).toBe('');
    expect(stage.dead()).toEqual([]);
    expect(stage.committed()).toBe(3);
    expect(stage.worker.state).toBe('running');
    expect(await stage.stop()).toMatchObject({ state: 'stopped', handled: 3, failed: 0 });
    expect(stage.broken).toEqual([]);
  });

  it('is given up with its whole batch', async () => {
    const stage = stageOf([['a', 'b', 'c']], { isBatch: true, batch: { maxRecords: 2 }, onStuckHandler: 'release' });
    stage.hold('0@0');
    await stage.start();
    await stage.advance(10_000);
    expect(stage.events).toEqual(['stuck 0@0 5000', 'skipped 0@0', 'skipped 0@1']);
    expect(stage.batches).toEqual(['0@0 0@1', '0@2']);
    expect(stage.committed()).toBe(3);
    expect(await stage.end()).toEqual([]);
  });

  it.each(['revoke', 'lose', 'seek'] as const)(
    'is given up under release also when it was asked because of a %s, and what shares its lane goes on',
    async (how) => {
      const stage = new Stage([['a'], []], { onStuckHandler: 'release', stuckAfterMs: 1_000, revokeDrainMs: 1_000 });
      stage.hold('0@0');
      await stage.start({ concurrency: laneStrategy(lanes.serial) });
      if (how === 'seek') void stage.worker.seek(at(0), 1);
      else stage.kafka.group('g')[how]([at(0)]);
      stage.send(1, ['x', 'y']);
      await stage.advance(10_000);
      expect(stage.events).toEqual(['stuck 0@0 1000']);
      expect(stage.calls).toEqual(['0@0', '1@0', '1@1']);
      expect(stage.reasons()).toMatch(/^t\/0: offset 0: its time is up, but its handler has not returned for \d+ s$/);
      await stage.open('0@0');
      expect(stage.reasons()).toBe('');
      await stage.stop();
    },
  );

  it('is told of also when its partition is revoked, before the worker ends', async () => {
    const stage = new Stage([['a'], []], { stuckAfterMs: 1_000, revokeDrainMs: 1_000 });
    stage.hold('0@0');
    await stage.start();
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(2_500);
    expect(stage.events).toEqual(['stuck 0@0 1000']);
    expect(stage.kafka.group('g').assignment()).toContainEqual(at(0));
    await stage.advance(60_000);
    await expect(stage.worker.finished).rejects.toMatchObject({ code: 'STUCK_HANDLER', partitions: [at(0)] });
    await stage.end();
  });

  it('whose partition is gone already is given up, and the worker goes on', async () => {
    const stage = new Stage([['a'], []], { stuckAfterMs: 1_000 });
    stage.hold('0@0');
    await stage.start({ concurrency: laneStrategy(lanes.serial) });
    stage.kafka.group('g').lose([at(0)]);
    stage.send(1, ['x']);
    await stage.advance(10_000);
    expect([stage.events, stage.calls]).toEqual([['stuck 0@0 1000'], ['0@0', '1@0']]);
    expect(stage.worker.state).toBe('running');
    expect(await stage.end()).toEqual([]);
  });

  it('only for less than `stuckAfterMs` is not told of, also when handlers have no time limit', async () => {
    const stage = new Stage([['a'], []], { stuckAfterMs: 1_000, revokeDrainMs: 1_000 });
    stage.hold('0@0');
    await stage.start();
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(1_500);
    expect(stage.signals.get('0@0')?.aborted).toBe(true);
    await stage.open('0@0');
    await stage.advance(10_000);
    expect([stage.events, stage.reasons(), stage.worker.state]).toEqual([[], '', 'running']);
    expect(await stage.end()).toEqual([]);
  });

  it('keeps its lane under a strategy with several, and the others go on', async () => {
    const stage = stageOf([['a', 'b', 'a']], { concurrency: laneStrategy(lanes.perKey), stuckAfterMs: 60_000 });
    stage.hold('0@0');
    await stage.start();
    await stage.advance(3_000);
    expect(stage.calls).toEqual(['0@0', '0@1']);
    await stage.open('0@0');
    await stage.advance(100);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@2']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('an overdue handler', () => {
  it('whose partition is revoked, is no failure: its record is left to the next owner', async () => {
    const stage = stageOf([['a', 'b']], { revokeDrainMs: 2_000 });
    stage.hold('0@0');
    await stage.start();
    await stage.advance(1_500);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(2_500);
    // Both times are up by now.
    await stage.open('0@0');
    await stage.advance(100);
    expect(stage.events).toEqual([]);
    expect(stage.committed()).toBe(0);
    expect(stage.kafka.group('g').assignment()).toEqual([]);
    stage.kafka.group('g').rebalance();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@0', '0@1']);
    expect(await stage.end()).toEqual([]);
  });

  it('that returns before its revoked partition has to go, has failed, and the policy decides', async () => {
    const stage = stageOf([['a', 'b']], { revokeDrainMs: 4_000 });
    stage.hold('0@0');
    await stage.start();
    await stage.advance(1_500);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(500);
    await stage.open('0@0');
    await stage.advance(100);
    expect(stage.events).toEqual(['skipped 0@0']);
    expect(stage.committed()).toBe(1);
    expect(await stage.end()).toEqual([]);
  });

  it('is waited for by a stop, which also asks it, and its record is left', async () => {
    const stage = stageOf([['a', 'b']], { stuckAfterMs: 60_000 });
    stage.hold('0@0');
    await stage.start();
    await stage.advance(1_500);
    const summary = await stage.stop({ timeoutMs: 1_000 });
    expect(summary).toMatchObject({ state: 'failed', error: { code: 'SHUTDOWN_TIMEOUT' }, left: [{ offset: 0 }] });
    await stage.open('0@0');
    await stage.advance(100);
    expect([stage.events, stage.committed()]).toEqual([[], 0]);
    expect(stage.kafka.clock.pendingTimers).toBe(0);
  });

  it.each(['fail', 'release'] as const)(
    'is named by the summary, also when the worker ends because of another one, unless that was accepted: %s',
    async (onStuckHandler) => {
      const stage = new Stage([['a'], ['b']], { onFailure: always({ do: 'stop' }), onStuckHandler });
      stage.hold('0@0');
      stage.fail('1@0');
      await stage.start();
      await stage.advance(60_000);
      const stuck = onStuckHandler === 'fail' ? [{ ...at(0), offset: 0 }] : undefined;
      const summary = await stage.worker.stop();
      expect([summary.error?.name, summary.stuck]).toEqual(['HandlerError', stuck]);
      expect(await stage.end()).toEqual([]);
    },
  );
});

describe('a batch with records of a lost partition, whose handler ignores that', () => {
  it('ends the worker: the others of it would wait for ever', async () => {
    const stage = new Stage([['a'], ['b']], {
      ...{ isBatch: true, batch: { maxRecords: 2, maxWaitMs: 100 }, stuckAfterMs: 5_000 },
      concurrency: laneStrategy(lanes.serial),
    });
    stage.hold('0@0');
    await stage.start();
    await stage.advance(1_000);
    expect(stage.batches).toEqual(['0@0 1@0']);
    stage.kafka.group('g').lose([at(0)]);
    await stage.advance(4_000);
    expect([stage.worker.state, stage.signals.get('0@0')?.aborted]).toEqual(['running', true]);
    const ended = expect(stage.worker.finished).rejects.toBeInstanceOf(StuckHandlerError);
    await stage.advance(60_000);
    await ended;
    expect(stage.events).toEqual(['stuck 0@0 5000']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a worker that stops while a revocation waits for a handler', () => {
  it.each(['fail', 'release'] as const)('leaves no timer (%s)', async (onStuckHandler) => {
    const stage = new Stage([['a'], ['b']], { onStuckHandler, revokeDrainMs: 600_000 });
    stage.hold('0@0');
    await stage.start();
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(100);
    const stopping = stage.worker.stop({ timeoutMs: 1_000 });
    await stage.advance(3_000);
    if (onStuckHandler === 'fail') await stage.open('0@0');
    await stage.advance(2_000);
    await stopping;
    expect(stage.kafka.clock.pendingTimers).toBe(0);
    expect(await stage.end()).toEqual([]);
  });
});
