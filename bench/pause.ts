import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import type { Bench, BenchRow } from './bench.ts';
import { Load } from './load.ts';
import { type PausedReading, PausedRun } from './pause/paused-run.ts';
import { median, rounded } from './statistics.ts';
import { withBroker } from './with-broker.ts';

const PARTITIONS = 8;
const RECORDS_PER_SECOND = 4_000;
const CYCLES = 7;
const readers = ['librdkafka', 'direct'] as const;
const scopes = ['one of eight', 'all eight'] as const;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export const pauseBench: Bench = {
  name: 'pause',
  question: `When does a partition go on that was paused for three seconds while ${RECORDS_PER_SECOND} records a second were written, with either reader?`,
  run: (say, isQuick) => withBroker(say, (brokers) => compare(brokers, isQuick ? 1 : CYCLES, say)),
};

async function compare(brokers: string, cycles: number, say: (line: string) => void) {
  const topic = `pause-${process.pid}`;
  const admin = confluentKafka({ brokers: brokers.split(',') }).admin({ clock: systemClock, logger: quiet });
  await admin.connect({ timeoutMs: 30_000 });
  await admin.createTopic(topic, { partitions: PARTITIONS });
  const lastWritten = new Map<number, number>();
  const load = new Load({
    ...{ brokers, topic, partitions: PARTITIONS, recordsPerSecond: RECORDS_PER_SECOND },
    written: ({ partition, offset }) => void lastWritten.set(partition, offset),
  });
  const measured = new Map<string, PausedReading[]>();
  const runs: PausedRun[] = [];
  try {
    await load.start();
    for (const reader of readers) {
      const written = (partition: number): number | undefined => lastWritten.get(partition);
      runs.push(await PausedRun.start({ brokers, topic, partitions: PARTITIONS, reader, lastWritten: written }));
    }
    for (let cycle = 1; cycle <= cycles; cycle++) {
      for (const scope of scopes) {
        for (const run of runs) {
          const reading = await run.pauseAndResume(scope === 'all eight' ? PARTITIONS : 1);
          const name = nameOf(run.reader, scope);
          measured.set(name, [...(measured.get(name) ?? []), reading]);
          const [next, caughtUp] = [reading.nextMs, reading.caughtUpMs].map((ms) => rounded(ms, 1));
          say(`cycle ${cycle}: ${name}: next record after ${next} ms, caught up after ${caughtUp} ms`);
        }
      }
    }
  } finally {
    await Promise.all(runs.map((run) => run.stop()));
    await load.stop();
    await admin.deleteTopic(topic);
    await admin.close();
  }
  return {
    rows: [...measured].map(([name, all]) => rowOf(name, all)),
    ratios: Object.fromEntries(
      scopes.map((scope) => {
        const [librdkafka = 0, direct = 0] = readers.map((reader) => caughtUp(measured.get(nameOf(reader, scope))));
        return [`${scope}: caught up, librdkafka to direct`, rounded(librdkafka / direct)];
      }),
    ),
  };
}

function rowOf(name: string, all: readonly PausedReading[]): BenchRow {
  const others = all.map(({ othersGapMs }) => othersGapMs).filter((gap) => gap !== undefined);
  const longest = (of: (reading: PausedReading) => number): number => rounded(Math.max(...all.map(of)), 1);
  return {
    name,
    nextMs: rounded(median(all.map(({ nextMs }) => nextMs)), 1),
    longestNextMs: longest(({ nextMs }) => nextMs),
    caughtUpMs: rounded(caughtUp(all), 1),
    longestCaughtUpMs: longest(({ caughtUpMs }) => caughtUpMs),
    ...(others.length === 0 ? {} : { othersLongestGapMs: rounded(Math.max(...others), 1) }),
  };
}

function caughtUp(all: readonly PausedReading[] = []): number {
  return median(all.map(({ caughtUpMs }) => caughtUpMs));
}

function nameOf(reader: string, scope: string): string {
  return `${reader}, ${scope}`;
}
