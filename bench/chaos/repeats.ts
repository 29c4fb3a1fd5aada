import type { Call, Epoch } from './epochs.ts';
import type { HandledLog } from './handled-log.ts';
import type { Fault, TurnRecord } from './turn-record.ts';
import type { WorkerHistory } from './worker-fleet.ts';

/** A worker that left while a fault was being got over. */
export interface LeaveDuringFault {
  readonly worker: string;
  readonly faults: readonly string[];
  readonly repeated: number;
  /** Why what it repeated was not committed. */
  readonly commitError: string | undefined;
}

/** What was handled again, by what explains it. */
export interface Repeats {
  /** After a leave that overlapped no fault. */
  readonly afterLeave: number;
  readonly leavesDuringFaults: readonly LeaveDuringFault[];
  readonly afterKill: number;
  /** What the killed ones had begun and no commit was known to cover: more cannot have been repeated. */
  readonly boundAfterKill: number;
  /** Given back by a worker that stays, or lost by one, while a fault was being got over. */
  readonly duringFaults: number;
  /** The same, by who gave which partition back or lost it, and what went on: how many records. */
  readonly reasonsDuringFaults: Readonly<Record<string, number>>;
  /** What nothing explains, in words. */
  readonly unexplained: readonly string[];
}

/** Looks at every call that was not the first for its record: how did the assignment end in which it was called before? */
export function repeatsOf({ workers, faults }: Pick<TurnRecord, 'workers' | 'faults'>, log: HandledLog): Repeats {
  const counts = { afterLeave: 0, afterKill: 0, duringFaults: 0 };
  const unexplained: string[] = [];
  const reasonsDuringFaults: Record<string, number> = {};
  const byLeave = new Map<WorkerHistory, number>();
  for (const [before, again] of repeatedCalls(log)) {
    const { worker, partition, ending } = before.epoch;
    const during = overlapping(faults, endOf(before.epoch));
    const isDuringFault = during.length > 0;
    if (ending === 'killed' && before.offset >= before.epoch.acknowledged) counts.afterKill++;
    else if (ending === 'left' && !isDuringFault) counts.afterLeave++;
    else if (ending === 'left') byLeave.set(worker, (byLeave.get(worker) ?? 0) + 1);
    else if ((ending === 'revoked' || ending === 'lost') && isDuringFault) {
      counts.duringFaults++;
      const reason = `${worker.name}, partition ${partition} ${ending}: ${during.map(({ what }) => what).join(', ')}`;
      reasonsDuringFaults[reason] = (reasonsDuringFaults[reason] ?? 0) + 1;
    } else {
      const how = ending === 'killed' ? 'killed after its commit was acknowledged' : ending;
      unexplained.push(
        `${partition}@${before.offset}: ${worker.name} (${how}), then ${again.epoch.worker.name}, ${Math.round(again.at - before.at)} ms later`,
      );
    }
  }
  const leavesDuringFaults = workers.filter(isLeave).flatMap((worker) => {
    const during = overlapping(faults, leaveOf(worker));
    if (during.length === 0) return [];
    const repeated = byLeave.get(worker) ?? 0;
    return [
      { worker: worker.name, faults: during.map(({ what }) => what), repeated, commitError: commitErrorOf(worker) },
    ];
  });
  for (const { worker, repeated, commitError } of leavesDuringFaults)
    if (repeated > 0 && commitError === undefined)
      unexplained.push(`${repeated} records after ${worker} left, which no failed commit explains`);
  const killed = log.epochs.filter(({ ending }) => ending === 'killed');
  const uncommitted = killed.map(
    ({ calls, acknowledged }) => calls.filter(({ offset }) => offset >= acknowledged).length,
  );
  const boundAfterKill = uncommitted.reduce((sum, count) => sum + count, 0);
  return { ...counts, reasonsDuringFaults, leavesDuringFaults, boundAfterKill, unexplained };
}

/** Whether it was told to leave, and did. */
export function isLeave({ signalled, exited }: WorkerHistory): boolean {
  return signalled?.signal === 'SIGTERM' && exited !== undefined;
}

/** From the signal to the end of the process. */
export function leaveOf({ signalled, exited }: WorkerHistory): Pick<Fault, 'from' | 'until'> {
  return { from: signalled?.at ?? 0, until: exited?.at ?? Number.POSITIVE_INFINITY };
}

/** The faults that were not over when something began, and had begun when it ended. */
export function overlapping(faults: readonly Fault[], span: Pick<Fault, 'from' | 'until'>): readonly Fault[] {
  return faults.filter(({ from, until }) => from <= span.until && until >= span.from);
}

/** Pairs of calls for the same record, one after the other. */
function* repeatedCalls(log: HandledLog): Generator<readonly [Call, Call]> {
  for (const partition of log.partitions) {
    for (let offset = 0; offset < log.lengthOf(partition); offset++) {
      const calls = log.callsOf(partition, offset);
      for (const [index, again] of calls.entries()) {
        const before = calls[index - 1];
        if (before !== undefined) yield [before, again];
      }
    }
  }
}

/** When an assignment was given back: for a leave all of the leave, otherwise from its last call on. */
function endOf({ worker, ending, until, calls }: Epoch): Pick<Fault, 'from' | 'until'> {
  return ending === 'left' ? leaveOf(worker) : { from: calls.at(-1)?.at ?? until, until };
}

function commitErrorOf({ entries, signalled }: WorkerHistory): string | undefined {
  const since = signalled?.at ?? 0;
  for (const entry of entries.toReversed()) {
    if (entry.what === 'commit-failed' && entry.at >= since) return entry.error;
    if (entry.what === 'stopped' && entry.error !== undefined) return entry.error;
  }
  return undefined;
}
