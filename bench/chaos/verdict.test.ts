import { describe, expect, it } from '@jest/globals';
import { minimumsFor, unreached } from './minimums.ts';
import type { Happening, TraceEntry } from './trace.ts';
import type { TurnRecord } from './turn-record.ts';
import { verdictOn } from './verdict.ts';
import type { WorkerHistory } from './worker-fleet.ts';

/** A worker whose trace has an entry per millisecond from `from` on. */
function worker(
  name: string,
  from: number,
  happenings: readonly Happening[],
  end: { readonly signal: 'SIGTERM' | 'SIGKILL'; readonly at: number },
  strategy: WorkerHistory['strategy'] = 'perPartition',
): WorkerHistory {
  const entries = happenings.map((happening, index) => ({ at: from + index, ...happening })) as TraceEntry[];
  const exited = { at: end.at + 1, code: end.signal === 'SIGTERM' ? 0 : null };
  return { name, strategy, startedAt: from, signalled: end, exited, entries };
}

const assigned: Happening = { what: 'assigned', partitions: [0] };
const revoked: Happening = { what: 'revoked', partitions: [0], lost: false };
const stopped: Happening = { what: 'stopped', error: undefined };
const commit = (next: number): Happening => ({ what: 'commit', next: { 0: next } });
const called = (offset: number, key = 'k', sequence = offset): Happening => {
  return { what: 'call', partition: 0, offset, key, sequence };
};
const returned = (offset: number): Happening => ({ what: 'return', partition: 0, offset });
const handled = (...offsets: readonly number[]): Happening[] =>
  offsets.flatMap((offset) => [called(offset), returned(offset)]);

/** Four records of one key in one partition. */
function turn(workers: readonly WorkerHistory[], rest: Partial<TurnRecord> = {}): TurnRecord {
  const written = [0, 1, 2, 3].map((offset) => ({ partition: 0, offset, key: 'k', sequence: offset, at: 0 }));
  const ends = { ends: [4], committed: [4] };
  return {
    protocol: 'classic',
    from: 0,
    until: 1_000,
    workers,
    firstWorkers: 1,
    faults: [],
    givenUp: undefined,
    written,
    unacknowledged: 0,
    ...ends,
    ...rest,
  };
}

const last = (...offsets: readonly number[]): WorkerHistory =>
  worker('last', 200, [assigned, ...handled(...offsets), commit(4), stopped], { signal: 'SIGTERM', at: 2_000 });

describe('the verdict on a turn', () => {
  it('takes a record that stands in the log twice for two, where it is known to', () => {
    const calls = [
      called(0),
      returned(0),
      called(1),
      returned(1),
      called(2, 'k', 0),
      returned(2),
      called(3, 'k', 1),
      returned(3),
    ];
    const only = worker('only', 100, [assigned, ...calls, commit(4), stopped], { signal: 'SIGTERM', at: 2_000 });
    const written = [0, 1].map((sequence) => ({ partition: 0, offset: sequence + 2, key: 'k', sequence, at: 0 }));
    const record = turn([only], { written });
    expect(verdictOn(record, new Set(['0@2', '0@3']))).toMatchObject({ violations: [], orderViolations: 0 });
    expect(verdictOn(record)).toMatchObject({ orderViolations: 2 });
  });

  it('finds nothing where everything was handed over in order', () => {
    const first = worker('first', 100, [assigned, ...handled(0, 1), commit(2), stopped], {
      signal: 'SIGTERM',
      at: 103,
    });
    expect(verdictOn(turn([first, last(2, 3)]))).toMatchObject({
      ...{ records: 4, lost: 0, orderViolations: 0, repeatedAfterLeave: 0, joins: 1, leaves: 1, cleanLeaves: 1 },
      violations: [],
    });
  });

  it('counts what nobody has finished, and what is not as it was written, as lost', () => {
    expect(verdictOn(turn([last(0, 1, 3)]))).toMatchObject({ lost: 1 });
    const other = { partition: 0, offset: 2, key: 'another', sequence: 2, at: 0 };
    expect(verdictOn(turn([last(0, 1, 2, 3)], { written: [other] }))).toMatchObject({ lost: 1 });
    const unplaced = { ...other, offset: -1001, key: 'k' };
    expect(verdictOn(turn([last(0, 1, 2, 3)], { written: [unplaced] }))).toMatchObject({ lost: 0 });
    expect(verdictOn(turn([last(0, 1, 2, 3)], { written: [{ ...unplaced, sequence: 9 }] }))).toMatchObject({ lost: 1 });
    expect(verdictOn(turn([last(0, 1, 2, 3)], { ends: [4], committed: [3] })).violations).toHaveLength(1);
  });

  it('sees a record that is begun while the one before it runs, or before it', () => {
    const overlapping = [
      assigned,
      called(0),
      called(1),
      returned(0),
      returned(1),
      ...handled(2, 3),
      commit(4),
      stopped,
    ];
    const end = { signal: 'SIGTERM', at: 2_000 } as const;
    // Once in its assignment, and once for its key whoever handles it.
    expect(verdictOn(turn([worker('one', 200, overlapping, end)]))).toMatchObject({ orderViolations: 2 });
    expect(verdictOn(turn([last(0, 2, 1, 3)])).orderViolations).toBeGreaterThan(0);
    const otherKeys = [assigned, called(0, 'a'), called(1, 'b'), returned(0), returned(1), commit(2), stopped];
    const written = { written: [], ends: [2], committed: [2] };
    expect(verdictOn(turn([worker('one', 200, otherKeys, end, 'perKey')], written))).toMatchObject({
      orderViolations: 0,
    });
    expect(verdictOn(turn([worker('one', 200, otherKeys, end)], written))).toMatchObject({ orderViolations: 1 });
  });

  it('sees a key that overtakes itself from one worker to the next', () => {
    const first = worker('first', 100, [assigned, called(0), commit(0), revoked], { signal: 'SIGTERM', at: 2_000 });
    expect(verdictOn(turn([first, last(1, 2, 3)]))).toMatchObject({ lost: 1, orderViolations: 1 });
  });

  it('counts what is repeated after a leave, and needs a failed commit where a fault overlaps it', () => {
    const leaving = (...more: readonly Happening[]): WorkerHistory =>
      worker('first', 100, [assigned, ...handled(0, 1), commit(1), ...more, stopped], { signal: 'SIGTERM', at: 105 });
    expect(verdictOn(turn([leaving(), last(1, 2, 3)]))).toMatchObject({
      repeatedAfterLeave: 1,
      violations: [expect.anything()],
    });
    const faults = [{ kind: 'broker', what: 'broker 1 ended', from: 50, until: 150 }] as const;
    const unexplained = verdictOn(turn([leaving(), last(1, 2, 3)], { faults }));
    expect(unexplained).toMatchObject({ repeatedAfterLeave: 0, cleanLeaves: 0, violations: [expect.anything()] });
    const failed: Happening = { what: 'commit-failed', partitions: [0], error: 'no coordinator' };
    expect(verdictOn(turn([leaving(failed), last(1, 2, 3)], { faults }))).toMatchObject({
      leavesDuringFaults: [{ worker: 'first', faults: ['broker 1 ended'], repeated: 1, commitError: 'no coordinator' }],
      violations: [],
    });
  });

  it('bounds what is repeated after a kill by what was begun and not committed', () => {
    const killed = worker('first', 100, [assigned, ...handled(0, 1), commit(1), called(2)], {
      signal: 'SIGKILL',
      at: 107,
    });
    const faults = [{ kind: 'kill', what: 'first killed', from: 107, until: 150 }] as const;
    expect(verdictOn(turn([killed, last(1, 2, 3)], { faults }))).toMatchObject({
      ...{ repeatedAfterKill: 2, boundAfterKill: 2, kills: 1, violations: [] },
    });
    expect(verdictOn(turn([killed, last(0, 1, 2, 3)], { faults })).violations).toHaveLength(1);
  });

  it('passes nothing that was finished above a record which had been overtaken, and comes again', () => {
    const happenings = [assigned, called(0, 'a'), returned(0), called(2, 'a'), returned(2), commit(1), stopped];
    const first = worker('first', 100, happenings, { signal: 'SIGTERM', at: 106 }, 'perKey');
    const written = { written: [] };
    expect(verdictOn(turn([first, last(1, 2, 3)], written))).toMatchObject({ repeatedAfterLeave: 1 });
  });

  it('counts a group that did not come to rest', () => {
    const givenUp = 'the group has not settled: one owns nothing';
    expect(verdictOn(turn([last(0, 1, 2, 3)], { givenUp })).violations).toEqual([`classic: ${givenUp}`]);
  });

  it('sees a commit that is acknowledged before what it covers is finished', () => {
    const early = worker('one', 200, [assigned, commit(1), ...handled(0, 1, 2, 3), commit(4), stopped], {
      ...{ signal: 'SIGTERM', at: 2_000 },
    });
    expect(verdictOn(turn([early])).violations).toEqual([expect.stringContaining('too early')]);
  });

  it('measures a stall while a record was there, and leaves out what a broker that is away explains', () => {
    const stalled = (faults: TurnRecord['faults']) => {
      const entries = [...handled(0, 1)].map((happening, index) => ({ at: 200 + index, ...happening }));
      const later = handled(2, 3).map((happening, index) => ({ at: 900 + index, ...happening }));
      const all = [{ at: 199, ...assigned }, ...entries, ...later, { at: 950, ...commit(4) }, { at: 951, ...stopped }];
      const end = { signalled: { at: 2_000, signal: 'SIGTERM' }, exited: { at: 2_001, code: 0 } } as const;
      const history = {
        name: 'one',
        strategy: 'perPartition',
        startedAt: 0,
        entries: all as TraceEntry[],
        ...end,
      } as const;
      return verdictOn(turn([history], { faults }));
    };
    expect(stalled([])).toMatchObject({ longestStallMs: 697, longestStallWithoutBrokerMs: 0 });
    const away = { kind: 'broker', what: 'broker 1 ended', from: 300, until: 800 } as const;
    expect(stalled([away])).toMatchObject({ longestStallMs: 1, longestStallWithoutBrokerMs: 697, brokerRestarts: 1 });
  });

  it('is not passed by a run in which too little happened', () => {
    const verdict = verdictOn(turn([last(0, 1, 2, 3)]));
    expect(minimumsFor(300)).toMatchObject({ cleanLeaves: 20 });
    expect(unreached(verdict, minimumsFor(30))).toEqual(
      ['records', 'joins', 'cleanLeaves', 'kills', 'brokerRestarts'].map((name) => expect.stringContaining(name)),
    );
  });
});
