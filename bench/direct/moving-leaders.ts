import { setTimeout as sleep } from 'node:timers/promises';
import { ChaosTurn, type ChaosTurnOptions } from '../chaos/chaos-turn.ts';
import type { Step } from '../chaos/plan.ts';
import type { TurnRecord } from '../chaos/turn-record.ts';
import { type Verdict, verdictOn } from '../chaos/verdict.ts';
import { machineNow } from '../machine-now.ts';
import { LeaderMover } from './leader-mover.ts';
import { LeaderWatch } from './leader-watch.ts';
import { LogContents } from './log-contents.ts';

export interface MovingLeadersOptions extends Pick<ChaosTurnOptions, 'brokers' | 'directory' | 'say' | 'signal'> {
  /** At least so many are written; few of the last tenth before the faults are over, however long a busy machine takes. */
  readonly records: number;
  /** One per second. */
  readonly elections: number;
}

/** What came of it; faults are those that were seen to happen. */
export interface MovingLeadersVerdict
  extends Pick<
    Verdict,
    'seconds' | 'records' | 'lost' | 'orderViolations' | 'unacknowledged' | 'longestStallMs' | 'violations'
  > {
  /** Calls that were not the first for their record. */
  readonly repeated: number;
  /** Why, and how many. */
  readonly reasons: Readonly<Record<string, number>>;
  /** How often a partition was given to a worker. */
  readonly assignments: number;
  readonly longestStallWithoutBrokerMs: number;
  /** Records that stand in the log twice: that is their producer's doing. */
  readonly writtenTwice: number;
  readonly elections: {
    readonly asked: number;
    /** Those after which another broker led some partition before the next one. */
    readonly moving: number;
    readonly leaderChanges: number;
    readonly seconds: number;
  };
  readonly rollingRestarts: { readonly brokers: number; readonly leaderChanges: number };
  readonly killedLeader: { readonly partitionsLed: number; readonly leaderChanges: number };
}

const NAME = 'moving-leaders';
const PARTITIONS = 12;
const BROKERS = [1, 2, 3];
const EVERY_MS = 1_000;
const AWAY_MS = 4_000;
const LOOKS = 20;
const LOOK_MS = 100;
/** What the full number of records takes, which is longer than the faults. */
const SECONDS = 270;
const LONGEST_SECONDS = 1_800;
const LEAST_PER_SECOND = 200;
const BEFORE_THE_END = 0.9;
/** Of the elections, so many have to have moved something. */
const LEAST_MOVING = 0.9;

interface Span {
  readonly from: number;
  readonly until: number;
}

/**
 * A group of two workers reads while leaders move every second, while one broker after the other is restarted in order, and while a leader is killed and
 * comes back. No worker comes, leaves or dies before the end: only one that loses a partition while a broker is away may have to repeat.
 */
export async function movingLeaders(options: MovingLeadersOptions): Promise<MovingLeadersVerdict> {
  const { brokers, directory, say, signal } = options;
  const run = new Run(options);
  try {
    const turn = await new ChaosTurn({
      ...{ protocol: 'consumer', reader: 'direct', brokers, directory, say, signal },
      script: {
        ...{ name: NAME, partitions: PARTITIONS, recordsPerSecond: (sent) => run.pace(sent) },
        ...{ firstWorkers: 2, minWorkers: 1, maxWorkers: 2, waitEvery: 16 },
        rounds: run.rounds(),
        isOver: (reached, seconds) => run.isOver(reached.records, seconds),
      },
    }).run();
    const log = await LogContents.read({ brokers: brokers.bootstrap.split(','), topic: NAME, ends: turn.ends, signal });
    return run.verdict(turn, log);
  } finally {
    await run.close();
  }
}

class Run {
  readonly #options: MovingLeadersOptions;
  readonly #mover: LeaderMover;
  readonly #watch: LeaderWatch;
  readonly #elections: Span[] = [];
  #restarts: Span = { from: 0, until: 0 };
  #kill = { from: 0, until: 0, nodeId: 0, partitionsLed: 0 };
  #isDone = false;

  constructor(options: MovingLeadersOptions) {
    this.#options = options;
    const list = options.brokers.bootstrap.split(',');
    this.#mover = new LeaderMover(list, NAME);
    this.#watch = new LeaderWatch(list, NAME);
    this.#watch.start();
  }

  *rounds(): Generator<readonly Step[], void> {
    const { elections, say } = this.#options;
    say(`${elections} elections, one per second`);
    for (let count = 0; count < elections; count++)
      yield [{ do: 'run', run: (signal) => this.#election(count, signal) }];
    say(`${this.#changes(this.#electing)} times another broker led a partition`);
    yield [{ do: 'settle' }];

    const from = machineNow();
    for (const nodeId of BROKERS) yield this.#away(nodeId, 'SIGTERM');
    this.#restarts = { from, until: machineNow() };

    yield [{ do: 'run', run: () => this.#spread() }];
    const { nodeId, partitions } = this.#watch.busiest;
    const killedAt = machineNow();
    yield this.#away(nodeId, 'SIGKILL');
    this.#kill = { from: killedAt, until: machineNow(), nodeId, partitionsLed: partitions };
    this.#isDone = true;
    for (;;) yield [{ do: 'wait', ms: EVERY_MS }];
  }

  /** How many are written per second. */
  pace(sent: number): number {
    const { records } = this.#options;
    const isToLast = !this.#isDone && sent >= records * BEFORE_THE_END;
    return isToLast ? LEAST_PER_SECOND : Math.max(LEAST_PER_SECOND, records / SECONDS);
  }

  /** A producer that has stopped for good is no reason to wait for ever. */
  isOver(records: number, seconds: number): boolean {
    return this.#isDone && (records >= this.#options.records || seconds > LONGEST_SECONDS);
  }

  verdict(turn: TurnRecord, log: LogContents): MovingLeadersVerdict {
    const { records, elections } = this.#options;
    const writtenTwice = log.writtenTwice();
    const verdict = verdictOn(turn, writtenTwice);
    const repeated = verdict.repeatedDuringFaults + verdict.repeatedAfterLeave + verdict.repeatedAfterKill;
    const moving = this.#elections.filter((span) => this.#changes(span) > 0).length;
    const restarted = this.#changes(this.#restarts);
    const killed = this.#watch.changesIn(this.#kill).filter(({ from }) => from === this.#kill.nodeId).length;
    const violations = [
      ...verdict.violations,
      ...otherThanLogged(turn, log),
      ...(verdict.records < records ? [`only ${verdict.records} records`] : []),
      ...(moving < elections * LEAST_MOVING ? [`only ${moving} of ${elections} elections moved a leader`] : []),
      ...(restarted < BROKERS.length ? [`only ${restarted} leaders changed while brokers restarted`] : []),
      ...(killed === 0 ? ['no leader changed when a leader was killed'] : []),
    ];
    const { seconds, lost, orderViolations, unacknowledged, longestStallMs, longestStallWithoutBrokerMs } = verdict;
    return {
      ...{ seconds, records: verdict.records, lost, repeated, orderViolations, unacknowledged },
      ...{
        writtenTwice: writtenTwice.size,
        reasons: verdict.reasonsDuringFaults,
        longestStallMs,
        longestStallWithoutBrokerMs,
      },
      assignments: turn.workers.flatMap(({ entries }) =>
        entries.flatMap((entry) => (entry.what === 'assigned' ? entry.partitions : [])),
      ).length,
      elections: {
        ...{ asked: elections, moving, leaderChanges: this.#changes(this.#electing) },
        seconds: Math.round((this.#electing.until - this.#electing.from) / 1_000),
      },
      rollingRestarts: { brokers: verdict.brokerRestarts - 1, leaderChanges: restarted },
      killedLeader: { partitionsLed: this.#kill.partitionsLed, leaderChanges: killed },
      violations,
    };
  }

  async close(): Promise<void> {
    this.#mover.close();
    await this.#watch.stop();
  }

  /** Each time another replica is the first, and so the preferred one. */
  async #election(count: number, signal: AbortSignal): Promise<void> {
    const from = machineNow();
    const replicas = new Map(partitions().map((partition) => [partition, replicasFrom(partition + count)]));
    await this.#mover.place(replicas);
    await this.#mover.elect(partitions());
    await sleep(Math.max(0, from + EVERY_MS - machineNow()), undefined, { signal });
    // On a busy machine it takes its time.
    for (let looks = 0; looks < LOOKS && this.#changes({ from, until: machineNow() }) === 0; looks++)
      await sleep(LOOK_MS, undefined, { signal });
    this.#elections.push({ from, until: machineNow() });
  }

  /** Every broker leads as many as the others. */
  async #spread(): Promise<void> {
    await this.#mover.elect(partitions());
    await sleep(EVERY_MS);
  }

  #away(nodeId: number, signal: 'SIGTERM' | 'SIGKILL'): readonly Step[] {
    return [
      { do: 'end-broker', nodeId, signal },
      { do: 'wait', ms: AWAY_MS },
      { do: 'start-broker' },
      { do: 'settle' },
      { do: 'run', run: () => this.#spread() },
    ];
  }

  get #electing(): Span {
    return { from: this.#elections[0]?.from ?? 0, until: this.#elections.at(-1)?.until ?? 0 };
  }

  #changes(span: Span): number {
    return this.#watch.changesIn(span).length;
  }
}

/** Records that were handled as something else than what stands in the log. */
function otherThanLogged({ workers }: TurnRecord, log: LogContents): readonly string[] {
  const wrong = workers.flatMap(({ name, entries }) =>
    entries.flatMap((entry) => {
      if (entry.what !== 'call') return [];
      const logged = log.at(entry.partition, entry.offset);
      if (logged?.key === entry.key && logged.sequence === entry.sequence) return [];
      const instead = `as ${entry.key} ${entry.sequence} instead of ${logged?.key} ${logged?.sequence}`;
      return [`${name} handled ${entry.partition}@${entry.offset} ${instead}`];
    }),
  );
  return wrong.length > 0 ? [`${wrong.length} records are other ones than in the log: ${wrong[0]}`] : [];
}

function partitions(): readonly number[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => partition);
}

/** All brokers, beginning with another one for each number. */
function replicasFrom(number: number): readonly number[] {
  return BROKERS.map((_, index) => BROKERS[(number + index) % BROKERS.length] as number);
}
