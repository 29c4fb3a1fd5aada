import { describe, expect, it } from '@jest/globals';
import { AssignmentHookError } from './errors.ts';
import type { TopicPartition } from './record.ts';
import { at, Stage } from './testing/stage.ts';

const names = (partitions: readonly TopicPartition[]): string => partitions.map(({ partition }) => partition).join(',');

/** Stages whose hooks note when they begin and end, and take so long. */
function noted(tookMs: { assigned?: number; revoked?: number } = {}, partitions = 2) {
  const log: string[] = [];
  const wait = async (stage: Stage, ms: number | undefined): Promise<void> => {
    if (ms !== undefined) await new Promise<void>((resolve) => stage.kafka.clock.setTimeout(resolve, ms));
  };
  const stage: Stage = new Stage(
    Array.from({ length: partitions }, () => ['a', 'b']),
    {
      revokeDrainMs: 10_000,
      onAssigned: async (given) => {
        log.push(`assigned ${names(given)}`);
        await wait(stage, tookMs.assigned);
        log.push(`ready ${names(given)}, ${stage.calls.length} calls`);
      },
      onRevoked: async (given, { lost, signal }) => {
        const committed = given.map(({ partition }) => stage.committed(partition)).join(',');
        log.push(`${lost ? 'lost' : 'revoked'} ${names(given)}, committed ${committed}`);
        signal.addEventListener('abort', () => log.push('revoked: aborted'));
        await wait(stage, tookMs.revoked);
        log.push(`saved ${names(given)}`);
      },
    },
  );
  return { stage, log };
}

describe('onAssigned', () => {
  it('is awaited before the first record of its partitions is handled', async () => {
    const { stage, log } = noted({ assigned: 3_000 });
    await stage.start();
    await stage.advance(2_900);
    expect([stage.calls, log]).toEqual([[], ['assigned 0,1']]);
    await stage.advance(200);
    expect(log[1]).toBe('ready 0,1, 0 calls');
    expect(stage.calls).toHaveLength(4);
    await stage.stop();
  });

  it.each([
    ['throws', () => Promise.reject(new Error('no database')), 'onAssigned failed: no database'],
    ['throws at once', () => { throw new Error('no database'); }, 'onAssigned failed: no database'], // biome-ignore format: short
    ['does not return', () => new Promise(() => {}), 'onAssigned did not return within 10000 ms'],
  ])('that %s ends the worker, with nothing handled, and onRevoked is told', async (_what, onAssigned, message) => {
    const { stage, log } = noted();
    const worker = await stage.start({ onAssigned });
    await stage.advance(60_000);
    await expect(worker.finished).rejects.toThrow(AssignmentHookError);
    await expect(worker.finished).rejects.toThrow(message);
    expect([stage.calls, log[0]]).toEqual([[], 'revoked 0,1, committed 0,0']);
    expect([stage.kafka.group('g').size, stage.kafka.clock.pendingTimers]).toEqual([0, 0]);
  });

  it('that runs when the worker is stopped is asked to return, and delays the stop no longer than the stop may take', async () => {
    const { stage } = noted();
    let aborted = false;
    const worker = await stage.start({
      onAssigned: (_given, { signal }) =>
        new Promise(() => signal.addEventListener('abort', () => { aborted = true; })), // biome-ignore format: short
    });
    await stage.advance(10);
    const stopping = worker.stop({ timeoutMs: 3_000 });
    await stage.advance(8_000);
    await stopping;
    expect([aborted, stage.kafka.group('g').size, stage.kafka.clock.pendingTimers]).toEqual([true, 0, 0]);
  });

  it('that heeds its signal when the worker is stopped, by rejecting, has not failed', async () => {
    const { stage } = noted();
    await stage.start({
      onAssigned: (_given, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });
    const summary = await stage.stop();
    expect([summary.state, summary.error, stage.calls]).toEqual(['stopped', undefined, []]);
  });

  it('that does not heed its signal leaves onRevoked its 2 s all the same', async () => {
    const { stage, log } = noted({ revoked: 1_500 });
    await stage.start({ onAssigned: () => new Promise(() => {}) });
    const summary = await stage.stop({ timeoutMs: 3_000 });
    expect([summary.error, log]).toEqual([undefined, ['revoked 0,1, committed 0,0', 'saved 0,1']]);
  });
});

describe('onRevoked', () => {
  it('is awaited when the last handler has returned and its commit is acknowledged, before another member gets the partition', async () => {
    const { stage, log } = noted({ revoked: 2_000 });
    stage.durations.set('1@0', 1_000);
    await stage.start();
    await stage.advance(10);
    stage.kafka.group('g').revoke([{ topic: 't', partition: 1 }]);
    await stage.advance(2_500);
    expect(log.slice(2)).toEqual(['revoked 1, committed 1']);
    expect(stage.kafka.group('g').assignment()).toHaveLength(2);
    await stage.advance(600);
    expect([log.at(-1), stage.kafka.group('g').assignment()]).toEqual(['saved 1', [{ topic: 't', partition: 0 }]]);
    await stage.stop();
    expect(log.slice(4)).toEqual(['revoked 0, committed 2', 'saved 0']);
  });

  it('of a lost partition comes after it was let go, and says so', async () => {
    const { stage, log } = noted({ revoked: 2_000 });
    await stage.start();
    await stage.advance(10);
    stage.kafka.group('g').lose([{ topic: 't', partition: 1 }]);
    await stage.advance(100);
    expect([log.at(-1), stage.kafka.group('g').assignment()]).toEqual([
      'lost 1, committed 0',
      [{ topic: 't', partition: 0 }],
    ]);
    stage.kafka.group('g').rebalance();
    await stage.advance(100);
    // The state of the former epoch is put away before the next one's is fetched.
    expect(log.at(-1)).toBe('lost 1, committed 0');
    await stage.advance(2_500);
    expect(log.slice(3)).toEqual(['saved 1', 'assigned 1', expect.stringContaining('ready 1')]);
    await stage.stop();
  });

  it('has what is left of revokeDrainMs, and then the worker ends', async () => {
    const { stage, log } = noted({ revoked: 60_000 });
    const worker = await stage.start();
    await stage.advance(10);
    stage.kafka.group('g').revoke([{ topic: 't', partition: 1 }]);
    await stage.advance(9_900);
    expect(log.at(-1)).toBe('revoked 1, committed 2');
    await stage.advance(200);
    expect(log[3]).toBe('revoked: aborted');
    await stage.advance(100_000);
    await expect(worker.finished).rejects.toMatchObject({ code: 'ASSIGNMENT_HOOK', hook: 'onRevoked' });
  });

  it('is told of everything once at the end, and its failure is the error of the stop', async () => {
    const { stage, log } = noted();
    const told: string[] = [];
    const worker = await stage.start({
      onRevoked: (given) => {
        told.push(names(given));
        throw new Error('disk full');
      },
    });
    await stage.advance(10);
    const stopping = worker.stop();
    await stage.advance(10_000);
    const summary = await stopping;
    expect([told, log.length]).toEqual([['0,1'], 2]);
    expect(summary).toMatchObject({ state: 'failed', error: { message: 'onRevoked failed: disk full' } });
    expect([stage.committed(0), stage.committed(1)]).toEqual([2, 2]);
  });

  it('of a partition whose handler ignores its signal waits at the end of the worker until that has returned', async () => {
    const { stage, log } = noted();
    stage.hold('1@0');
    await stage.start();
    await stage.advance(10);
    const stopping = stage.worker.stop({ timeoutMs: 1_000 });
    await stage.advance(60_000);
    expect(await stopping).toMatchObject({ error: { code: 'SHUTDOWN_TIMEOUT' } });
    expect(log.slice(2)).toEqual(['revoked 0, committed 2', 'saved 0']);
    await stage.open('1@0');
    await stage.advance(1_000);
    expect(log.slice(4)).toEqual(['revoked 1, committed 1', 'saved 1']);
    expect(stage.kafka.clock.pendingTimers).toBe(0);
  });

  it('of a partition whose handler returns while that of others runs comes after it, before the group is left', async () => {
    const { stage, log } = noted({ revoked: 1_500 });
    stage.durations.set('1@0', 2_000);
    await stage.start();
    await stage.stop({ timeoutMs: 1_000 });
    expect(log.slice(2)).toEqual(['revoked 0, committed 2', 'saved 0', 'revoked 1, committed 1', 'saved 1']);
    expect([stage.committed(1), stage.kafka.group('g').size, await stage.end()]).toEqual([1, 0, []]);
  });

  it('that runs for a revocation when the worker is stopped has the time that the stop has, and is not told twice', async () => {
    const { stage, log } = noted({ revoked: 3_000 });
    await stage.start();
    await stage.advance(10);
    stage.kafka.group('g').revoke([at(1)]);
    await stage.advance(100);
    const summary = await stage.stop({ timeoutMs: 10_000 });
    expect([summary.state, log.slice(2)]).toEqual([
      'stopped',
      ['revoked 1, committed 2', 'saved 1', 'revoked 0, committed 2', 'saved 0'],
    ]);
  });

  it('that runs for a revocation when the worker is stopped, and takes longer than the stop may, is the error of the stop', async () => {
    const { stage, log } = noted();
    await stage.start({
      onRevoked: (given, { signal }) => {
        log.push(`revoked ${names(given)}`);
        signal.addEventListener('abort', () => log.push(`aborted ${names(given)}`));
        return names(given) === '1' ? new Promise(() => {}) : undefined;
      },
    });
    await stage.advance(10);
    stage.kafka.group('g').revoke([at(1)]);
    await stage.advance(100);
    const summary = await stage.stop({ timeoutMs: 3_000 });
    expect(log.slice(2)).toEqual(['revoked 1', 'aborted 1', 'revoked 0']);
    expect(summary).toMatchObject({ state: 'failed', error: { message: 'onRevoked did not return within 3000 ms' } });
    expect([stage.kafka.group('g').size, stage.kafka.clock.pendingTimers]).toEqual([0, 0]);
  });

  it('is not told of what is assigned while the worker stops, and neither is onAssigned', async () => {
    const { stage, log } = noted();
    stage.durations.set('1@1', 2_000);
    await stage.start();
    await stage.advance(10);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(10);
    const stopping = stage.worker.stop();
    stage.kafka.group('g').rebalance();
    await stage.advance(10_000);
    await stopping;
    expect(log.slice(2)).toEqual(['revoked 0, committed 2', 'saved 0', 'revoked 1, committed 2', 'saved 1']);
  });

  it('is not told of partitions that onAssigned was not told of', async () => {
    const { stage, log } = noted();
    await stage.start({ startFrom: 'latest' });
    await stage.stop();
    expect(log.filter((line) => line.startsWith('revoked'))).toHaveLength(
      log.filter((line) => line.startsWith('assigned')).length,
    );
  });
});
