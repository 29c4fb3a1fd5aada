import { setTimeout as sleep } from 'node:timers/promises';
import { LogTruncatedError } from '@kafka-worker/core';
import type { Member, TestClients } from '../../packages/core/src/testing/cluster-under-test.ts';
import { isPassing } from './is-passing.ts';
import type { LeaderMover } from './leader-mover.ts';
import type { LeaderWatch } from './leader-watch.ts';
import { type PartOptions, PlacedTopic } from './placed-topic.ts';
import { type Restarted, RestartedWorker } from './restarted-worker.ts';
import { untilRead } from './until-read.ts';

/** What one reader made of it. */
interface Made {
  /** What it reported, as a worker would be told. */
  readonly reported: readonly string[];
  /** So many records came behind those that everybody had read, and where they begin. */
  readonly handedOut: number;
  readonly firstHandedOut: number | undefined;
}

/** What came of it. */
export interface UncleanElectionVerdict {
  /** Up to where everybody had read. */
  readonly readTo: number;
  /** Up to where the new leader had the same. */
  readonly divergesAt: number;
  /** Where the new leader's log ended when reading went on. */
  readonly newEnd: number;
  readonly direct: Made;
  /** Paused before the election, resumed when the new log had become longer than the old one. */
  readonly directPaused: Made;
  readonly librdkafka: Made;
  /** Workers that had stopped before the election, and were started again when the new log had become longer than the old one: who has read before and after. */
  readonly restarted: Readonly<Record<RestartName, Made>>;
  /** What was there when the direct reader went on where the log had parted. */
  readonly readAgain: number;
  readonly violations: readonly string[];
}

type RestartName = 'direct, direct' | 'librdkafka, direct' | 'librdkafka, librdkafka';

const NAME = 'unclean-election';
const LEADER = 1;
/** Falls behind, and leads. */
const BEHIND = 2;
const COMMON = 100;
const READ_TO = 200;
const NEW = 300;
const NEW_END = COMMON + NEW;
const PLACE = { topic: NAME, partition: 0 };
const LOOK_MS = 200;
const LED_MS = 90_000;
/** What is not reported by then is not reported. */
const SILENT_MS = 10_000;
/** Nothing comes behind a report. */
const QUIET_MS = 1_000;
/** Longer than no broker may be there to be told that a member is alive: one that begins anew has nothing to compare a log with. */
const patient = { 'session.timeout.ms': 300_000, 'max.poll.interval.ms': 600_000 };

/**
 * A leader that alone has the last records dies, and a replica that is behind leads: what was read is no longer there, and something else is in its place.
 * The direct reader reports both offsets, and hands nothing out. What librdkafka's reader does is noted beside it, and judged by nobody.
 */
export async function uncleanElection(options: PartOptions): Promise<UncleanElectionVerdict> {
  const { brokers, say, signal } = options;
  const topic = new PlacedTopic(NAME, options);
  const { list, mover, watch } = topic;
  const clients = {
    direct: topic.clientsWith({ reader: 'direct', librdkafka: patient }),
    librdkafka: topic.clientsWith({ reader: 'librdkafka', librdkafka: patient }),
  };
  const write = (clientsOf: TestClients, count: number, what: string): Promise<unknown> =>
    clientsOf.send(Array.from({ length: count }, (_, number) => ({ ...PLACE, value: `${what} ${number}` })));
  try {
    const config = { 'unclean.leader.election.enable': 'true', 'min.insync.replicas': '1' };
    await topic.create({ partitions: 1, replicas: [LEADER, BEHIND], config });
    await write(clients.direct, COMMON, 'of both');
    const joined = (clientsOf: TestClients): Promise<Member> => clientsOf.member([NAME], { groupProtocol: 'classic' });
    const direct = await joined(clients.direct);
    const directPaused = await joined(clients.direct);
    const librdkafka = await joined(clients.librdkafka);
    const members = [direct, directPaused, librdkafka];
    const untilAllRead = async (end: number): Promise<void> => {
      for (const member of members)
        await untilRead(member, `${end} records came`, () => member.records.length >= end, signal);
    };
    await untilAllRead(COMMON);
    say(`broker ${BEHIND} ends, and broker ${LEADER} alone gets more`);
    await brokers.end(BEHIND, 'SIGTERM');
    await write(clients.direct, READ_TO - COMMON, 'of one');
    await untilAllRead(READ_TO);
    directPaused.consumer.pause([PLACE]);
    const restarts = restartsOf(list);
    for (const { worker, before } of restarts) await worker.first(before, READ_TO, signal);

    say(`broker ${LEADER} is killed, and broker ${BEHIND} leads`);
    await brokers.end(LEADER, 'SIGKILL');
    await brokers.startAgain([BEHIND]);
    await untilUncleanlyLed(mover, watch, members, signal);
    await write(clients.librdkafka, NEW, 'of the other');
    directPaused.consumer.resume([PLACE]);
    const made = await Promise.all([
      whatCame(direct, signal, isTruncated),
      whatCame(directPaused, signal, isTruncated),
      whatCame(librdkafka, signal),
    ]);
    say('workers that had stopped before are started again');
    const restarted: Restarted[] = [];
    for (const { worker, after } of restarts) restarted.push(await worker.second(after, signal));
    await brokers.startAgain();

    say('the direct reader goes on where the log has parted');
    const before = direct.records.length;
    await direct.consumer.seek([{ ...PLACE, offset: COMMON }]);
    await untilRead(direct, 'the new records came', () => direct.records.length >= before + NEW, signal);
    const again = direct.records.slice(before);
    const wrong = again.findIndex(
      ({ offset, value }, number) => offset !== COMMON + number || String(value) !== `of the other ${number}`,
    );
    return {
      ...{ readTo: READ_TO, divergesAt: COMMON, newEnd: NEW_END },
      ...{
        direct: made[0],
        directPaused: made[1],
        librdkafka: made[2],
        restarted: madeBy(restarts, restarted),
        readAgain: again.length,
      },
      violations: [
        ...wrongReport('the direct reader', direct, made[0]),
        ...wrongReport('the direct reader that was paused', directPaused, made[1]),
        ...restarts.flatMap(({ name, after }, i) => (after === 'direct' ? wrongRestart(name, restarted[i]) : [])),
        ...(wrong < 0 ? [] : [`${again[wrong]?.offset} was read in the place of ${COMMON + wrong}`]),
      ].map((violation) => `unclean election: ${violation}`),
    };
  } finally {
    await topic.close();
  }
}

const isTruncated = (member: Member): boolean => member.errors.some((error) => error instanceof LogTruncatedError);

/** All of them are polled meanwhile, as workers do. */
async function untilUncleanlyLed(
  mover: LeaderMover,
  watch: LeaderWatch,
  members: readonly Member[],
  signal: AbortSignal,
): Promise<void> {
  for (const deadline = Date.now() + LED_MS; watch.leaderOf(0) !== BEHIND; ) {
    signal.throwIfAborted();
    if (Date.now() > deadline) throw new Error(`broker ${BEHIND} does not lead after ${LED_MS} ms`);
    await mover.elect([0], 'unclean').catch(() => 0);
    for (const member of members) await member.poll(1_000, 1);
    await sleep(LOOK_MS);
  }
}

/** Until it has reported what it should, or nothing more comes. */
async function whatCame(
  member: Member,
  signal: AbortSignal,
  isReported: (member: Member) => boolean = () => false,
): Promise<Made> {
  const until = Date.now() + SILENT_MS;
  await untilRead(member, 'something is reported', () => isReported(member) || Date.now() > until, signal);
  await member.receivedWithin(QUIET_MS);
  const after = member.records.slice(READ_TO);
  // Whatever was away is said by everybody.
  const reported = member.errors.filter((error) => !isPassing(error));
  return {
    reported: reported.map(({ message }) => message),
    handedOut: after.length,
    firstHandedOut: after[0]?.offset,
  };
}

interface Restart {
  readonly name: RestartName;
  readonly worker: RestartedWorker;
  readonly before: 'direct' | 'librdkafka';
  readonly after: 'direct' | 'librdkafka';
}

function restartsOf(list: readonly string[]): readonly Restart[] {
  const newRestart = (name: RestartName, before: Restart['before'], after: Restart['after']): Restart => {
    return { name, before, after, worker: new RestartedWorker(list, NAME, `${NAME}-${before}-${after}`) };
  };
  return [
    newRestart('direct, direct', 'direct', 'direct'),
    newRestart('librdkafka, direct', 'librdkafka', 'direct'),
    newRestart('librdkafka, librdkafka', 'librdkafka', 'librdkafka'),
  ];
}

function madeBy(restarts: readonly Restart[], restarted: readonly Restarted[]): Record<RestartName, Made> {
  const made = restarted.map(({ error, handled, firstHandled }): Made => {
    return { reported: error === undefined ? [] : [error.message], handedOut: handled, firstHandedOut: firstHandled };
  });
  return Object.fromEntries(restarts.map(({ name }, i) => [name, made[i]])) as Record<RestartName, Made>;
}

function wrongRestart(name: RestartName, restarted: Restarted | undefined): readonly string[] {
  const { error, handled } = restarted ?? {};
  const isRight = error instanceof LogTruncatedError && error.offset === READ_TO && error.divergesAt === COMMON;
  const who = `the worker that was started again (${name})`;
  return [
    ...(isRight ? [] : [`${who} ended with ${error?.message ?? 'no error'}`]),
    ...(handled === 0 ? [] : [`${who} handled ${handled} records`]),
  ];
}

function wrongReport(who: string, { errors, records }: Member, { handedOut, firstHandedOut }: Made): readonly string[] {
  const reported = errors.find((error) => error instanceof LogTruncatedError);
  const isRight = reported?.offset === READ_TO && reported.divergesAt === COMMON;
  return [
    ...(isRight ? [] : [`${who} reported ${reported?.message ?? 'no truncation'}`]),
    ...(handedOut > 0 ? [`${who} handed out ${handedOut} records, from offset ${firstHandedOut} on`] : []),
    ...(records.slice(0, READ_TO).every(({ offset }, index) => offset === index) ? [] : [`${who} read out of order`]),
  ];
}
