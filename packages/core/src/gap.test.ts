import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { gapEndOf } from './gap.ts';
import { Ledger } from './ledger.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

type Place = 'finished' | 'running' | 'queued' | 'waiting';

/** The rule, word by word. */
function expectedEnd(places: readonly Place[]): number {
  let end = 0;
  for (const [offset, place] of places.entries()) if (place === 'running' || place === 'finished') end = offset + 1;
  const waiting = places.indexOf('waiting');
  return waiting !== -1 && waiting < end ? waiting : end;
}

describe('gapEndOf', () => {
  it('is behind the last record that was started, or at the first that waits for something else', () => {
    const place = fc.constantFrom<Place>('finished', 'running', 'queued', 'queued', 'queued', 'waiting');
    const many = fc.oneof(fc.array(place, { maxLength: 12 }), fc.array(place, { minLength: 4_000, maxLength: 9_000 }));
    fc.assert(
      fc.property(many, (places) => {
        const ledger = new Ledger(0);
        for (const offset of places.keys()) ledger.receive(offset);
        for (const [offset, one] of places.entries()) if (one === 'finished') ledger.settle(offset);
        const of = (wanted: Place): Set<number> =>
          new Set([...places.keys()].filter((offset) => places[offset] === wanted));
        expect([...ledger.openOffsets()]).toEqual([...places.keys()].filter((one) => places[one] !== 'finished'));
        expect(gapEndOf(ledger, of('queued'), of('running'))).toBe(expectedEnd(places));
      }),
      { numRuns: 200 },
    );
  });
});

/** Key `a` is slow: what is above its first record is finished long before the others of it can start. */
function slowKey(rest: StageOptions = {}): Stage {
  const stage = new Stage([['a', 'a', 'b', 'a', 'c', 'a', 'a']], { concurrency: laneStrategy(lanes.perKey), ...rest });
  stage.hold('0@0');
  for (const name of ['0@1', '0@3']) stage.durations.set(name, 50);
  return stage;
}

/** How partitions are given back. */
const ways: Readonly<Record<string, (stage: Stage) => Promise<unknown>>> = {
  'a revocation': async (stage) => {
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(100);
  },
  'a stop': async (stage) => {
    void stage.worker.stop({ timeoutMs: 10_000 });
    await stage.advance(100);
  },
};

describe.each(Object.entries(ways))('what was overtaken, at %s', (_name, giveBack) => {
  it('is finished, so that nothing that was finished above it comes again, and nothing else is started', async () => {
    const stage = slowKey();
    await stage.start();
    expect(stage.calls).toEqual(['0@0', '0@2', '0@4']);
    await giveBack(stage);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect(stage.handled.slice(0, 5)).toEqual(['0@2', '0@4', '0@0', '0@1', '0@3']);
    expect(stage.committed()).toBe(5);
    // A worker that is revoked gets the partition back; one that was stopped starts no more.
    await stage.stop();
    if (stage.worker.status().state === 'stopped') await stage.start();
    await stage.advance(5_000);
    for (const name of ['0@1', '0@2', '0@3', '0@4']) expect(stage.calls.filter((one) => one === name)).toHaveLength(1);
    expect(await stage.end()).toEqual([]);
  });

  it('is not waited for behind a record that fails, and does not overtake that', async () => {
    const stage = slowKey({ onFailure: always({ do: 'retry', afterMs: 60_000 }) });
    stage.fail('0@1');
    await stage.start();
    await giveBack(stage);
    await stage.open('0@0');
    await stage.advance(500);
    expect(stage.calls).toEqual(['0@0', '0@2', '0@4', '0@1']);
    expect(stage.committed()).toBe(1);
    stage.heal('0@1');
    expect(await stage.end()).toEqual([]);
  });

  it('is left when half of the time is up, and its handler then has the other half', async () => {
    const stage = slowKey({ revokeDrainMs: 10_000 });
    stage.hold('0@1');
    await stage.start();
    await giveBack(stage);
    await stage.open('0@0');
    await stage.advance(6_000);
    await stage.open('0@1');
    await stage.advance(1_000);
    expect(stage.signals.get('0@1')?.aborted).toBe(false);
    expect(stage.calls).toEqual(['0@0', '0@2', '0@4', '0@1']);
    expect(stage.committed()).toBe(3);
    expect(await stage.end()).toEqual([]);
  });
});

describe('a worker that stops', () => {
  it('writes the dead letter of a record that fails while it closes a gap', async () => {
    const stage = slowKey({ onFailure: always({ do: 'dead-letter', topic: 'dead' }) });
    stage.fail('0@1');
    await stage.start();
    const stopping = stage.worker.stop({ timeoutMs: 10_000 });
    await stage.open('0@0');
    await stage.advance(1_000);
    expect(await stopping).toMatchObject({ state: 'stopped', handled: 4, failed: 1 });
    expect(stage.dead()).toHaveLength(1);
    expect(stage.committed()).toBe(5);
    expect(await stage.end()).toEqual([]);
  });

  it('starts a batch that would wait to fill, where it closes a gap', async () => {
    const stage = slowKey({ isBatch: true, batch: { maxRecords: 2, maxWaitMs: 60_000 } });
    stage.durations.clear();
    await stage.start();
    // 0@0 and 0@1 run; b and c wait to fill, and so do the others of a for the first.
    expect(stage.batches).toEqual(['0@0 0@1']);
    stage.send(0, ['b']);
    await stage.advance(1_000);
    expect(stage.batches).toEqual(['0@0 0@1', '0@2 0@7']);
    const stopping = stage.worker.stop({ timeoutMs: 10_000 });
    await stage.open('0@0');
    await stage.advance(1_000);
    await stopping;
    expect(stage.committed()).toBe(8);
    expect(await stage.end()).toEqual([]);
  });
});
