import { describe, expect, it } from '@jest/globals';
import type { LaneRule } from './concurrency.ts';
import { DeserializationError } from './handler-errors.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

const across: LaneRule = { by: ({ key }) => String(key), across: 'all', active: 100, inside: { width: 1 } };
const perKey = { concurrency: laneStrategy(lanes.perKey) };
const rated = { concurrency: laneStrategy({ by: 'key', active: 1_000, startsPerSecond: 10, inside: { width: 1 } }) };
const deadLetter = always({ do: 'dead-letter', topic: 'dead', brake: false });
const never = 600_000;

/** How often partitions were given back. */
function revocations(stage: Stage): () => number {
  let count = 0;
  stage.worker.on('revoked', () => count++);
  return () => count;
}

function giveBack(stage: Stage, way: 'a stop' | 'a revocation'): void {
  if (way === 'a stop') void stage.worker.stop({ timeoutMs: 10_000 });
  else stage.kafka.group('g').revoke([at(0)]);
}

describe.each(['a stop', 'a revocation'] as const)('%s, where gaps are closed', (way) => {
  it('keeps the order of a lane across partitions', async () => {
    const stage = new Stage([['x', 'x', 'y'], ['x']], { concurrency: laneStrategy(across) });
    stage.hold('0@0');
    await stage.start();
    expect(stage.calls).toEqual(['0@0', '0@2']);
    stage.send(1, ['y']);
    await stage.advance(1_100);
    giveBack(stage, way);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(500);
    expect(stage.calls.slice(0, 5)).toEqual(['0@0', '0@2', '1@1', '0@1', '1@0']);
    expect(await stage.end()).toEqual([]);
  });

  it('does not wait behind a record of another partition that fails meanwhile, and does not overtake it', async () => {
    const onFailure = always({ do: 'retry', afterMs: never });
    const stage = new Stage([['x'], ['x', 'y']], { concurrency: laneStrategy(across), onFailure });
    stage.hold('0@0');
    await stage.start();
    expect(stage.calls).toEqual(['0@0', '1@1']);
    let hasEnded = false;
    if (way === 'a stop') void stage.worker.stop().then(() => (hasEnded = true));
    else stage.kafka.group('g').revoke([at(1)]);
    await stage.advance(100);
    stage.fail('0@0');
    await stage.open('0@0');
    await stage.advance(1_000);
    if (way !== 'a stop')
      hasEnded = stage.kafka
        .group('g')
        .assignment()
        .every(({ partition }) => partition !== 1);
    expect([hasEnded, stage.calls]).toEqual([true, ['0@0', '1@1']]);
    expect(await stage.end()).toEqual([]);
  });

  it('starts nothing above a record that ends the worker', async () => {
    const stage = new Stage([['a', 'a', 'c', 'c', 'b']], { ...perKey, onFailure: always({ do: 'stop' }) });
    stage.fail('0@0');
    stage.hold('0@0', '0@2');
    await stage.start();
    giveBack(stage, way);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(1_000);
    await stage.open('0@2');
    await stage.advance(1_000);
    expect([stage.committed() ?? 0, stage.calls]).toEqual([0, ['0@0', '0@2', '0@4']]);
    expect(await stage.end()).toEqual([]);
  });

  it('handles what a batch has left after a record of it could not be decoded', async () => {
    const batch = { isBatch: true, batch: { maxRecords: 2, maxWaitMs: 0 } };
    const stage = new Stage([['a', 'a', 'b', 'b']], { ...perKey, ...batch, onFailure: always({ do: 'skip' }) });
    stage.hold('0@0');
    stage.fail('0@0', new DeserializationError({ ...at(0), offset: 0 }, 'value', new Error('no JSON')));
    await stage.start();
    expect(stage.batches).toEqual(['0@0 0@1', '0@2 0@3']);
    giveBack(stage, way);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect([stage.batches.slice(2), stage.committed()]).toEqual([['0@1'], 4]);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a stop where gaps are closed', () => {
  it('handles nothing above a dead letter that waits to be written again', async () => {
    const stage = new Stage([['d', 'a', 'a', 'b']], { ...perKey, onFailure: deadLetter });
    stage.kafka.failSends(1_000, { retriable: true });
    stage.fail('0@0');
    stage.hold('0@1');
    await stage.start();
    await stage.advance(50);
    void stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(50);
    await stage.open('0@1');
    await stage.advance(1_000);
    expect([stage.committed() ?? 0, stage.calls]).toEqual([0, ['0@0', '0@1', '0@3']]);
    expect(await stage.end()).toEqual([]);
  });

  it('handles nothing above a dead letter that fails meanwhile', async () => {
    const stage = new Stage([['a', 'a', 'c', 'c', 'b']], { ...perKey, onFailure: deadLetter });
    stage.kafka.failSends(1_000, { retriable: true });
    stage.fail('0@0');
    stage.hold('0@0', '0@2');
    await stage.start();
    void stage.worker.stop({ timeoutMs: 10_000 });
    await stage.open('0@0');
    await stage.advance(1_000);
    await stage.open('0@2');
    await stage.advance(1_000);
    expect([stage.committed() ?? 0, stage.calls]).toEqual([0, ['0@0', '0@2', '0@4']]);
    expect(await stage.end()).toEqual([]);
  });

  it('does not wait, under a rate, for what it will not start', async () => {
    const keys = ['a', 'c', ...Array<string>(100).fill('c'), 'b'];
    const stage = new Stage([keys], { ...rated, onFailure: always({ do: 'retry', afterMs: never }) });
    stage.hold('0@0', '0@1');
    stage.fail('0@0');
    await stage.start();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@102']);
    void stage.worker.stop({ timeoutMs: 60_000 });
    await stage.advance(50);
    await stage.open('0@0', '0@1');
    await stage.advance(5_000);
    expect([stage.worker.state, stage.calls.length]).toEqual(['stopped', 3]);
    expect(await stage.end()).toEqual([]);
  });

  it('does not wait for what a poll under way brings', async () => {
    const stage = new Stage([['a']], rated);
    stage.hold('0@0');
    await stage.start();
    void stage.worker.stop({ timeoutMs: 25_000 });
    await stage.advance(10);
    stage.send(
      0,
      Array.from({ length: 200 }, (_, i) => `k${i}`),
    );
    await stage.advance(200);
    await stage.open('0@0');
    await stage.advance(2_000);
    expect([stage.worker.state, stage.calls]).toEqual(['stopped', ['0@0']]);
    expect(await stage.end()).toEqual([]);
  });

  it('starts nothing of a partition that is assigned meanwhile', async () => {
    const stage = new Stage([['a'], []], perKey);
    stage.hold('0@0');
    await stage.start();
    stage.kafka.group('g').revoke([at(1)]);
    await stage.advance(1_500);
    stage.send(1, ['b', 'c']);
    const hold = stage.kafka.hold('committed');
    stage.kafka.group('g').assign([at(0), at(1)]);
    await stage.advance(500);
    void stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(100);
    hold.release();
    await stage.advance(1_500);
    expect(stage.calls).toEqual(['0@0']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a revocation where gaps are closed', () => {
  const batch: StageOptions = { ...perKey, isBatch: true, batch: { maxRecords: 2, maxWaitMs: 60_000 } };

  it('does not wait for the last batch of a gap to fill', async () => {
    const stage = new Stage([['a', 'a', 'a', 'a', 'a', 'b', 'b']], { ...batch, revokeDrainMs: 10_000 });
    stage.hold('0@0');
    await stage.start();
    const given = revocations(stage);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect(stage.batches).toEqual(['0@0 0@1', '0@5 0@6', '0@2 0@3', '0@4']);
    expect([stage.committed(), given()]).toEqual([7, 1]);
    expect(await stage.end()).toEqual([]);
  });

  it('lets batches of partitions that stay go on filling', async () => {
    const stage = new Stage([['a'], ['b']], batch);
    await stage.start();
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(100);
    expect(stage.batches).toEqual([]);
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    ['is frozen', always({ do: 'freeze', scope: 'key' })],
    ['waits for its retry', always({ do: 'retry', afterMs: never })],
  ])('does not wait for a lane in which a record of another partition %s', async (_why, onFailure) => {
    const stage = new Stage([[], ['x']], { concurrency: laneStrategy(across), onFailure });
    stage.fail('1@0');
    await stage.start();
    const given = revocations(stage);
    stage.send(0, ['x', 'y']);
    await stage.advance(1_100);
    expect(stage.calls).toEqual(['1@0', '0@1']);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(1_000);
    expect(given()).toBe(1);
    stage.heal('1@0');
    expect(await stage.end()).toEqual([]);
  });

  it('leaves the room to others that a gap would have needed, once that ends', async () => {
    const stage = new Stage([['a', 'c', 'c', 'c', 'c', 'c', 'c', 'b'], []], {
      ...perKey,
      onFailure: always({ do: 'retry', afterMs: never }),
      limits: { inFlightRecords: 10 },
    });
    stage.hold('0@0', '0@1', ...Array.from({ length: 10 }, (_, i) => `1@${i}`));
    stage.fail('0@0');
    await stage.start();
    expect(stage.calls).toEqual(['0@0', '0@1', '0@7']);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(50);
    await stage.open('0@0');
    stage.send(1, Array<string>(10).fill('z'));
    await stage.advance(3_000);
    // 0@0 and 0@1 count.
    expect(stage.status(1).inFlight).toBe(8);
    stage.heal('0@0');
    expect(await stage.end()).toEqual([]);
  });
});

describe('a revocation in the middle of a stop waits for no gap', () => {
  async function stopping(rest: StageOptions, options: { timeoutMs: number; mode?: 'drain' }): Promise<Stage> {
    const stage = new Stage([['a', 'a', 'b'], ['z']], { ...perKey, ...rest });
    stage.hold('0@0', '1@0');
    await stage.start();
    void stage.worker.stop(options);
    return stage;
  }

  async function expectGivenBack(stage: Stage): Promise<void> {
    const given = revocations(stage);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(2_000);
    expect(given()).toBe(1);
    await stage.open('1@0');
    expect(await stage.end()).toEqual([]);
  }

  it('of a partition that was frozen while its gap was closed', async () => {
    const stage = await stopping({ onFailure: always({ do: 'freeze', scope: 'partition' }) }, { timeoutMs: 60_000 });
    stage.fail('0@0');
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(50);
    await expectGivenBack(stage);
  });

  it('when the time for gaps is over', async () => {
    const stage = await stopping({}, { timeoutMs: 60_000 });
    await stage.advance(31_000);
    await stage.open('0@0');
    await expectGivenBack(stage);
  });

  it('when a drain is out of time, with a handler that is stuck', async () => {
    const stage = await stopping({}, { timeoutMs: 1_000, mode: 'drain' });
    await stage.advance(5_000);
    await stage.open('0@0');
    await stage.advance(10);
    await expectGivenBack(stage);
  });
});
