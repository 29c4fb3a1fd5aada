import { describe, expect, it } from '@jest/globals';
import { Oracle } from './oracle.ts';

const offsets = [{ topic: 't', partition: 0, offset: 3 }];

/** An oracle of a group in which a process has partition 0, and what a test changes. */
function watching() {
  const world = { nowMs: 1_000, owner: 'p0' as string | undefined };
  const oracle = new Oracle({
    ...{ now: () => world.nowMs, committed: () => undefined, owner: () => world.owner, laneOf: () => undefined },
    ...{ maxCalls: 1, onStuckHandler: 'fail', handlerTimeoutMs: undefined, revokeDrainMs: 0, visible: () => [] },
  });
  oracle.ownership.assigned('p0', [{ topic: 't', partition: 0, offset: 0 }]);
  const expel = (): void => {
    world.owner = undefined;
    oracle.ownership.expelled('p0', offsets);
  };
  return { world, oracle, expel, broken: () => oracle.broken.map(({ invariant }) => invariant) };
}

describe('The oracle, of offsets that a broker takes into a transaction', () => {
  it('says nothing where the process owns their partition', () => {
    const { oracle, broken } = watching();
    oracle.arrived('p0', offsets);
    oracle.accepted('p0', offsets);
    expect(broken()).toEqual([]);
  });

  it('says nothing where the process was expelled behind them, in the same moment', () => {
    const { oracle, expel, broken } = watching();
    oracle.arrived('p0', offsets);
    expel();
    oracle.accepted('p0', offsets);
    expect(broken()).toEqual([]);
  });

  it.each([
    ['before they arrived', 0, true],
    ['a moment before the broker took them', 1, false],
  ])('calls it broken where the process was expelled %s', (_when, laterMs, isBefore) => {
    const { world, oracle, expel, broken } = watching();
    if (isBefore) expel();
    oracle.arrived('p0', offsets);
    if (!isBefore) expel();
    world.nowMs += laterMs;
    oracle.accepted('p0', offsets);
    expect(broken()).toEqual(['fenced']);
  });
});

describe('The oracle, of a record that is handled again by the next owner of its partition', () => {
  it.each([
    ['calls it broken where only a commit of another partition had failed', 1, ['duplicates']],
    ['says nothing where a commit of that partition had failed', 0, []],
  ])('%s', (_what, failedPartition, found) => {
    const { world, oracle, broken } = watching();
    const { signal } = new AbortController();
    const handle = (process: string): void => {
      const record = oracle.sent.get({ partition: 0, offset: 0 });
      oracle.ended(
        oracle.started(process, [record], 1, () => signal),
        [],
      );
    };
    oracle.sent.add({ partition: 0, offset: 0, key: null });
    oracle.ownership.assigned('p0', [{ topic: 't', partition: 1, offset: 0 }]);
    handle('p0');
    oracle.ownership.committing('p0', [
      { topic: 't', partition: failedPartition, offset: failedPartition === 0 ? 1 : 0 },
    ])(false);
    oracle.ownership.released('p0', [{ topic: 't', partition: 0 }]);
    world.owner = 'p1';
    oracle.ownership.assigned('p1', [{ topic: 't', partition: 0, offset: 0 }]);
    handle('p1');
    expect(broken()).toEqual(found);
  });
});
