import { type KafkaRecord, noHeaders, OwnedRecord, type ReceivedRecord, Worker } from '@kafka-worker/core';
import { inThreads } from '@kafka-worker/core/threads';
import { parallel } from '@kafka-worker/strategies';
import type { Bench, BenchRow } from './bench.ts';
import { watchLoopStall } from './loop-stall.ts';
import { replayedKafka } from './replayed-kafka.ts';
import { median, rounded } from './statistics.ts';
import { bareCallsPerSecond } from './threads/bare-threads.ts';
import busy from './threads/busy-handler.ts';

const PARTITIONS = 8;
const file = new URL('./threads/busy-handler.ts', import.meta.url);
const execArgv = ['--import', 'tsx'];

type Handler = (record: KafkaRecord, context: never) => unknown;

interface Measurement {
  readonly recordsPerSecond: number;
  readonly stallMs: number;
}

const cases: readonly { readonly name: string; readonly make: () => Handler }[] = [
  { name: 'main thread', make: () => busy },
  { name: '1 thread', make: () => inThreads(file, { threads: 1, execArgv }) },
  { name: '2 threads', make: () => inThreads(file, { threads: 2, execArgv }) },
];

export const threadsBench: Bench = {
  name: 'threads',
  question: 'What do threads bring to a handler that computes for some 5 ms? No broker.',
  async run(say, isQuick) {
    const rounds = isQuick ? 1 : 7;
    const records = makeRecords(isQuick ? 60 : 480);
    const measured = new Map<string, Measurement[]>(cases.map(({ name }) => [name, []]));
    const bareRatios: number[] = [];
    // The first round warms up and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const { name, make } of cases) {
        const measurement = await measure(records, make());
        if (round > 0) measured.get(name)?.push(measurement);
        const { recordsPerSecond, stallMs } = measurement;
        const what = round === 0 ? 'warm-up' : `round ${round}`;
        say(`${what}: ${name}: ${Math.round(recordsPerSecond)} records/s, longest stall ${Math.round(stallMs)} ms`);
      }
      const bare = (await bareCallsPerSecond(2, records.length)) / (await bareCallsPerSecond(1, records.length));
      if (round > 0) bareRatios.push(bare);
      say(`round ${round}: two bare threads do ${rounded(bare, 2)} times the calls of one`);
    }
    const rows: BenchRow[] = [...measured].map(([name, all]) => ({
      name,
      recordsPerSecond: rounded(median(all.map(({ recordsPerSecond }) => recordsPerSecond)), 1),
      longestStallMs: rounded(Math.max(...all.map(({ stallMs }) => stallMs)), 1),
    }));
    // Of each round, in which one follows the other at once: what else the machine does weighs on both.
    const ratio = (name: string, to: string): number => {
      const rates = (which: string): number[] => measured.get(which)?.map((one) => one.recordsPerSecond) ?? [];
      const base = rates(to);
      return rounded(median(rates(name).map((rate, round) => rate / (base[round] ?? Number.NaN))));
    };
    return {
      rows,
      ratios: {
        twoThreadsToOne: ratio('2 threads', '1 thread'),
        bareTwoThreadsToOne: rounded(median(bareRatios)),
        oneThreadToMain: ratio('1 thread', 'main thread'),
      },
    };
  },
};

function makeRecords(count: number): ReceivedRecord[] {
  const value = Buffer.alloc(100, 'x');
  return Array.from(
    { length: count },
    (_, i) =>
      new OwnedRecord('replayed', i % PARTITIONS, Math.floor(i / PARTITIONS), 0, Buffer.from(`${i}`), value, noHeaders),
  );
}

/** From the first record that is done to the last: threads have started then. */
async function measure(records: readonly ReceivedRecord[], handler: Handler): Promise<Measurement> {
  let done = 0;
  let startedAt = 0;
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const skipped = Math.floor(records.length / 6);
  const worker = new Worker({
    kafka: replayedKafka('replayed', PARTITIONS, records),
    groupId: 'bench',
    topics: 'replayed',
    concurrency: parallel({ concurrency: 4 }),
    handler: handler as () => unknown,
  });
  let stallMs = (): number => 0;
  worker.on('settled', () => {
    // The last thread to start is ready by then.
    if (++done === skipped) {
      startedAt = performance.now();
      stallMs = watchLoopStall();
    }
    if (done === records.length) finish();
  });
  await worker.start();
  await finished;
  const seconds = (performance.now() - startedAt) / 1_000;
  const measurement = { recordsPerSecond: (records.length - skipped) / seconds, stallMs: stallMs() };
  const summary = await worker.stop({ mode: 'drain' });
  if (summary.handled !== records.length) throw new Error(`handled ${summary.handled}`);
  return measurement;
}
