import { describe, expect, it } from '@jest/globals';
import type { LaneRule } from './concurrency.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

const across: LaneRule = { by: (one) => String(one.key), across: 'all', active: 100, inside: { width: 1 } };

function watch(stage: Stage): { drained: { partitions: string; ms: number }[] } {
  const drained: { partitions: string; ms: number }[] = [];
  stage.worker.on('revoked', ({ partitions, drainedMs }) => {
    drained.push({ partitions: partitions.map((p) => p.partition).join(','), ms: drainedMs });
  });
  return { drained };
}

describe('A: order in a lane across partitions', () => {
  async function run(way: (stage: Stage) => void): Promise<string[]> {
    const stage = new Stage([['x', 'x', 'y'], ['x']], { concurrency: laneStrategy(across) });
    stage.hold('0@0');
    await stage.start();
    expect(stage.calls).toEqual(['0@0', '0@2']);
    way(stage);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(500);
    const calls = [...stage.calls];
    expect(await stage.end()).toEqual([]);
    return calls;
  }
  it('revocation', async () => {
    const calls = await run((stage) => stage.kafka.group('g').revoke([at(0)]));
    expect(calls.slice(0, 4)).toEqual(['0@0', '0@2', '0@1', '1@0']);
  });
  it('stop', async () => {
    const stage = new Stage([['x', 'x', 'y'], ['x', 'x', 'y'], []], { concurrency: laneStrategy(across) });
    stage.hold('0@0');
    await stage.start();
    stage.send(0, ['x', 'y']);
    await stage.advance(1100);
    expect(stage.calls).toEqual(['0@0', '0@2', '1@2', '0@4']);
    void stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(500);
    // as polled: 0@1 1@0 1@1 0@3
    expect(stage.calls.slice(4)).toEqual(['0@1', '1@0', '1@1', '0@3']);
    expect(await stage.end()).toEqual([]);
  });
});

describe('B: a stop: dead letters', () => {
  it('a dead letter that waits to be written again ends the gap', async () => {
    const stage = new Stage([['d', 'a', 'a', 'b']], {
      concurrency: laneStrategy(lanes.perKey),
      onFailure: always({ do: 'dead-letter', topic: 'dead', brake: false }),
    });
    stage.kafka.failSends(1_000, { retriable: true });
    stage.fail('0@0');
    stage.hold('0@1');
    await stage.start();
    await stage.advance(50);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@3']);
    const stopping = stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(50);
    await stage.open('0@1');
    await stage.advance(1_000);
    await stopping;
    expect(stage.committed()).toBe(0);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@3']);
  });
  it('a dead letter that fails while the gap is closed ends it', async () => {
    const stage = new Stage([['a', 'a', 'c', 'c', 'b']], {
      concurrency: laneStrategy(lanes.perKey),
      onFailure: always({ do: 'dead-letter', topic: 'dead', brake: false }),
    });
    stage.kafka.failSends(1_000, { retriable: true });
    stage.fail('0@0');
    stage.hold('0@0', '0@2');
    await stage.start();
    expect(stage.calls).toEqual(['0@0', '0@2', '0@4']);
    void stage.worker.stop({ timeoutMs: 10_000 });
    await stage.open('0@0');
    await stage.advance(1_000);
    await stage.open('0@2');
    await stage.advance(1_000);
    expect(stage.committed() ?? 0).toBe(0);
    expect(stage.calls).toEqual(['0@0', '0@2', '0@4']);
    await stage.end();
  });
});

describe('C: policy stop while a gap is closed', () => {
  it.each(['stop', 'revoke'])('%s', async (way) => {
    const stage = new Stage([['a', 'a', 'c', 'c', 'b']], {
      concurrency: laneStrategy(lanes.perKey),
      onFailure: always({ do: 'stop' }),
    });
    stage.fail('0@0');
    stage.hold('0@0', '0@2');
    await stage.start();
    if (way === 'stop') void stage.worker.stop({ timeoutMs: 10_000 });
    else stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(1_000);
    await stage.open('0@2');
    await stage.advance(1_000);
    expect(stage.committed() ?? 0).toBe(0);
    expect(stage.calls).toEqual(['0@0', '0@2', '0@4']);
    await stage.end();
  });
});

describe('D: batches', () => {
  const rest: StageOptions = {
    isBatch: true,
    batch: { maxRecords: 2, maxWaitMs: 60_000 },
    concurrency: laneStrategy(lanes.perKey),
    revokeDrainMs: 10_000,
  };
  it('the last batch of a gap does not wait to fill', async () => {
    const stage = new Stage([['a', 'a', 'a', 'a', 'a', 'b', 'b']], rest);
    stage.hold('0@0');
    await stage.start();
    expect(stage.batches).toEqual(['0@0 0@1', '0@5 0@6']);
    const { drained } = watch(stage);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect({ batches: stage.batches, committed: stage.committed() }).toEqual({
      batches: ['0@0 0@1', '0@5 0@6', '0@2 0@3', '0@4'],
      committed: 7,
    });
    expect(drained.length).toBe(1);
    await stage.end();
  });
  it('batches of partitions that stay go on filling', async () => {
    const stage = new Stage([['a'], ['b']], rest);
    await stage.start();
    expect(stage.batches).toEqual([]);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(100);
    const batches = [...stage.batches];
    await stage.end();
    expect(batches).toEqual([]);
  });
});

describe('E: gap behind a lane that another partition holds', () => {
  it.each(['freeze', 'retry'])('%s', async (what) => {
    const two = new Stage([[], ['x']], {
      concurrency: laneStrategy(across),
      onFailure: always(what === 'freeze' ? { do: 'freeze', scope: 'key' } : { do: 'retry', afterMs: 600_000 }),
    });
    two.fail('1@0');
    await two.start();
    const { drained } = watch(two);
    two.send(0, ['x', 'y']);
    await two.advance(1_100);
    expect(two.calls).toEqual(['1@0', '0@1']);
    two.kafka.group('g').revoke([at(0)]);
    await two.advance(1_000);
    const now = [...drained];
    await two.advance(30_000);
    two.heal('1@0');
    await two.end();
    expect(now).toEqual([{ partitions: '0', ms: expect.any(Number) }]);
  });
});

describe('F: a revocation in the middle of a stop', () => {
  it('with a partition frozen while its gap was closed', async () => {
    const stage = new Stage([['a', 'a', 'b'], ['z']], {
      concurrency: laneStrategy(lanes.perKey),
      onFailure: always({ do: 'freeze', scope: 'partition' }),
    });
    stage.hold('0@0', '1@0');
    stage.fail('0@0');
    await stage.start();
    const { drained } = watch(stage);
    void stage.worker.stop({ timeoutMs: 60_000 });
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(50);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(1_000);
    const now = [...drained];
    await stage.open('1@0');
    await stage.end();
    expect(now.length).toBe(1);
  });
  it('when the time for gaps is over', async () => {
    const stage = new Stage([['a', 'a', 'b'], ['z']], { concurrency: laneStrategy(lanes.perKey) });
    stage.hold('0@0', '1@0');
    await stage.start();
    const { drained } = watch(stage);
    void stage.worker.stop({ timeoutMs: 60_000 });
    await stage.advance(31_000);
    await stage.open('0@0');
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(1_000);
    const now = [...drained];
    await stage.open('1@0');
    await stage.end();
    expect(now.length).toBe(1);
  });
});

describe('G: a rate', () => {
  it('a stop does not wait for what it will not start', async () => {
    const stage = new Stage([['a', 'c', ...Array.from({ length: 100 }, () => 'c'), 'b']], {
      concurrency: laneStrategy({
        ...{ by: 'key', active: 1_000, inside: { width: 1 } },
        startsPerSecond: 10,
      }),
      onFailure: always({ do: 'retry', afterMs: 600_000 }),
    });
    stage.hold('0@0', '0@1');
    stage.fail('0@0');
    await stage.start();
    await stage.advance(2_000);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@102']);
    let isStopped = false;
    void stage.worker.stop({ timeoutMs: 60_000 }).then(() => (isStopped = true));
    await stage.advance(50);
    await stage.open('0@0');
    await stage.open('0@1');
    await stage.advance(5_000);
    const inTime = isStopped;
    stage.heal('0@0');
    await stage.end();
    expect(inTime).toBe(true);
    expect(stage.calls).toEqual(['0@0', '0@1', '0@102']);
  });
});

describe('H: a partition that is assigned while the worker stops', () => {
  it('starts nothing', async () => {
    const stage = new Stage([['a'], ['b', 'c']], { concurrency: laneStrategy(lanes.perKey) });
    stage.hold('0@0');
    await stage.start({}, () => {});
    await stage.end();
  });
  it('starts nothing 2', async () => {
    const stage = new Stage([['a'], []], { concurrency: laneStrategy(lanes.perKey) });
    stage.hold('0@0');
    await stage.start();
    stage.kafka.group('g').revoke([at(1)]);
    await stage.advance(1_500);
    stage.send(1, ['b', 'c']);
    const hold = stage.kafka.hold('committed');
    stage.kafka.group('g').assign([at(0), at(1)]);
    await stage.advance(500);
    const stopping = stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(100);
    hold.release();
    await stage.advance(1_500);
    const calls = [...stage.calls];
    await stage.open('0@0');
    await stage.advance(5_000);
    await stopping;
    expect(await stage.end()).toEqual([]);
    expect(calls).toEqual(['0@0']);
  });
});

describe('I: a batch with a record that cannot be decoded', () => {
  it.each(['stop', 'revoke'])('%s: the others of the batch are handled', async (way) => {
    const { DeserializationError } = await import('./errors.ts');
    const stage = new Stage([['a', 'a', 'b', 'b']], {
      isBatch: true,
      batch: { maxRecords: 2, maxWaitMs: 0 },
      concurrency: laneStrategy(lanes.perKey),
      onFailure: always({ do: 'skip' }),
    });
    stage.hold('0@0');
    const error = new DeserializationError({ topic: 't', partition: 0, offset: 0 } as never, 'value' as never, new Error('x'));
    Object.assign(error, { topic: 't', partition: 0, offset: 0 });
    stage.fail('0@0', error);
    await stage.start();
    expect(stage.batches).toEqual(['0@0 0@1', '0@2 0@3']);
    if (way === 'stop') void stage.worker.stop({ timeoutMs: 10_000 });
    else stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(50);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect({ batches: stage.batches, committed: stage.committed() }).toEqual({
      batches: ['0@0 0@1', '0@2 0@3', '0@1'],
      committed: 4,
    });
    await stage.end();
  });
});
