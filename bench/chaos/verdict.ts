import { HandledLog } from './handled-log.ts';
import { earlyCommits, lostRecords } from './losses.ts';
import { orderViolations } from './order.ts';
import { isLeave, type LeaveDuringFault, leaveOf, overlapping, repeatsOf } from './repeats.ts';
import { longestStalls } from './stalls.ts';
import type { TurnRecord } from './turn-record.ts';

/** What came out of one or several turns, all of it counted from what was written down. */
export interface Verdict {
  readonly seconds: number;
  readonly records: number;
  readonly lost: number;
  readonly orderViolations: number;
  readonly repeatedAfterLeave: number;
  readonly leavesDuringFaults: readonly LeaveDuringFault[];
  readonly repeatedAfterKill: number;
  readonly boundAfterKill: number;
  readonly joins: number;
  readonly leaves: number;
  readonly kills: number;
  readonly brokerRestarts: number;
  readonly longestStallMs: number;
  /** Of the leaves those that overlapped no fault. */
  readonly cleanLeaves: number;
  readonly longestStallWithoutBrokerMs: number;
  readonly repeatedDuringFaults: number;
  readonly reasonsDuringFaults: Readonly<Record<string, number>>;
  readonly unacknowledged: number;
  /** Everything that must not be, in words. */
  readonly violations: readonly string[];
}

const NAMED = 20;

/** Judges one turn. `writtenTwice` are places in the log, as {@link orderViolations} takes them. */
export function verdictOn(turn: TurnRecord, writtenTwice?: ReadonlySet<string>): Verdict {
  const { workers, faults, ends, committed, firstWorkers, protocol, givenUp } = turn;
  const log = new HandledLog(workers);
  const lost = lostRecords(turn, log);
  const order = orderViolations(log, writtenTwice);
  const repeats = repeatsOf(turn, log);
  const stalls = longestStalls(turn, log);
  const left = workers.filter(
    (worker) => isLeave(worker) && leaveOf(worker).from <= turn.until && hasWorked(log, worker.name),
  );
  const clean = left.filter((worker) => overlapping(faults, leaveOf(worker)).length === 0);
  const failed = clean.filter(({ exited }) => exited?.code !== 0);
  const early = earlyCommits(workers, log);
  const behind = ends.flatMap((end, partition) =>
    committed[partition] === end ? [] : [`partition ${partition} is committed at ${committed[partition]} of ${end}`],
  );
  const violations = [
    ...(givenUp === undefined ? [] : [givenUp]),
    ...named('lost', lost),
    ...named('out of order', order),
    ...named('repeated', repeats.unexplained),
    ...(repeats.afterLeave > 0 ? [`${repeats.afterLeave} records repeated after leaves that overlapped no fault`] : []),
    ...named('committed', early),
    ...named('not committed', behind),
    ...named(
      'left with an error',
      failed.map(({ name, exited }) => `${name}: exit code ${exited?.code}`),
    ),
  ].map((violation) => `${protocol}: ${violation}`);
  return {
    seconds: Math.round((turn.until - turn.from) / 1_000),
    records: ends.reduce((sum, end) => sum + end, 0),
    lost: lost.length,
    orderViolations: order.length,
    repeatedAfterLeave: repeats.afterLeave,
    leavesDuringFaults: repeats.leavesDuringFaults,
    repeatedAfterKill: repeats.afterKill,
    boundAfterKill: repeats.boundAfterKill,
    joins: workers.slice(firstWorkers).filter(({ name }) => hasWorked(log, name)).length,
    leaves: left.length,
    kills: workers.filter(({ name, signalled }) => signalled?.signal === 'SIGKILL' && hasWorked(log, name)).length,
    brokerRestarts: faults.filter(({ kind }) => kind === 'broker').length,
    longestStallMs: stalls.untouchedMs,
    cleanLeaves: clean.length,
    longestStallWithoutBrokerMs: stalls.withoutBrokerMs,
    repeatedDuringFaults: repeats.duringFaults,
    reasonsDuringFaults: repeats.reasonsDuringFaults,
    unacknowledged: turn.unacknowledged,
    violations,
  };
}

/** Several turns as one. */
export function together(verdicts: readonly Verdict[]): Verdict {
  const sum = (of: (verdict: Verdict) => number): number => verdicts.reduce((total, verdict) => total + of(verdict), 0);
  const longest = (of: (verdict: Verdict) => number): number => Math.max(0, ...verdicts.map(of));
  return {
    seconds: sum(({ seconds }) => seconds),
    records: sum(({ records }) => records),
    lost: sum(({ lost }) => lost),
    orderViolations: sum((verdict) => verdict.orderViolations),
    repeatedAfterLeave: sum(({ repeatedAfterLeave }) => repeatedAfterLeave),
    leavesDuringFaults: verdicts.flatMap(({ leavesDuringFaults }) => leavesDuringFaults),
    repeatedAfterKill: sum(({ repeatedAfterKill }) => repeatedAfterKill),
    boundAfterKill: sum(({ boundAfterKill }) => boundAfterKill),
    joins: sum(({ joins }) => joins),
    leaves: sum(({ leaves }) => leaves),
    kills: sum(({ kills }) => kills),
    brokerRestarts: sum(({ brokerRestarts }) => brokerRestarts),
    longestStallMs: longest(({ longestStallMs }) => longestStallMs),
    cleanLeaves: sum(({ cleanLeaves }) => cleanLeaves),
    longestStallWithoutBrokerMs: longest(({ longestStallWithoutBrokerMs }) => longestStallWithoutBrokerMs),
    repeatedDuringFaults: sum(({ repeatedDuringFaults }) => repeatedDuringFaults),
    reasonsDuringFaults: Object.fromEntries(verdicts.flatMap((verdict) => Object.entries(verdict.reasonsDuringFaults))),
    unacknowledged: sum(({ unacknowledged }) => unacknowledged),
    violations: verdicts.flatMap(({ violations }) => violations),
  };
}

/** A worker that was never given a partition has neither joined nor left. */
function hasWorked(log: HandledLog, name: string): boolean {
  return log.epochs.some(({ worker }) => worker.name === name);
}

function named(what: string, list: readonly string[]): readonly string[] {
  const more = list.length > NAMED ? [`${what}: and ${list.length - NAMED} more`] : [];
  return [...list.slice(0, NAMED).map((one) => `${what}: ${one}`), ...more];
}
