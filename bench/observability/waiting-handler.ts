import { setTimeout as sleep } from 'node:timers/promises';
import type { ConcurrencyStrategy, Logger, Plugin, ReceivedRecord } from '@kafka-worker/core';
import { logging, metrics, tracing } from '@kafka-worker/observability';
import { perPartition, serial } from '@kafka-worker/strategies';
import { Registry } from 'prom-client';
import type { Part, PartSetting } from '../part.ts';
import { median, rounded } from '../statistics.ts';
import { bareCalls, bareSpans } from './bare-spans.ts';
import { costSince, type RunCost, replay, tracedRecords } from './replayed-run.ts';
import { newTracerProvider, propagator, withContexts } from './tracer-providers.ts';

const table = 'a handler of 1 ms, records per second';
const HANDLER_MS = 1;

const nowhere: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const plugins = (): readonly Plugin[] => [
  tracing({ tracerProvider: newTracerProvider(), propagator }),
  metrics({ registry: new Registry() }),
  logging({ logger: nowhere }),
];

/** So much of the processor's time, however busy the machine is. */
function computes(): void {
  const before = process.cpuUsage();
  let spent = 0;
  while (spent < HANDLER_MS * 1_000) {
    const { user, system } = process.cpuUsage(before);
    spent = user + system;
  }
}

interface Case {
  readonly name: string;
  readonly ratio: string;
  readonly run: (records: readonly ReceivedRecord[], which: 'none' | 'all') => Promise<RunCost>;
  readonly records: number;
  /** What a record takes, in microseconds. */
  readonly costOf: (cost: RunCost, records: number) => number;
}

const byClock = ({ seconds }: RunCost, records: number): number => (seconds / records) * 1e6;
const byProcessor = ({ cpuMicroseconds }: RunCost): number => cpuMicroseconds;
const waits = (): unknown => sleep(HANDLER_MS);
const computesAsync = async (): Promise<void> => computes();
const byWorker =
  (handler: () => unknown, concurrency: ConcurrencyStrategy): Case['run'] =>
  (records, which) =>
    replay({ records, handler, concurrency, plugins: which === 'none' ? [] : plugins() });

const cases: readonly Case[] = [
  {
    ...{ name: 'computes, one after the other (processor time)', ratio: 'allToNoneComputing' },
    ...{ run: byWorker(computes, serial()), records: 1_000, costOf: byProcessor },
  },
  {
    // What the spans alone take of it, without a worker: with a millisecond in between they find nothing in the processor's caches.
    ...{ name: 'computes, a loop with recorded spans by hand (processor time)', ratio: 'bareSpansToNoneComputing' },
    run: (records, which) => (which === 'none' ? bareCalls : bareSpans)(records, computesAsync),
    ...{ records: 1_000, costOf: byProcessor },
  },
  {
    ...{ name: 'waits, one after the other', ratio: 'allToNoneWaiting' },
    ...{ run: byWorker(waits, serial()), records: 2_000, costOf: byClock },
  },
  {
    ...{ name: 'waits, 8 at once', ratio: 'allToNoneWaitingEight' },
    ...{ run: byWorker(waits, perPartition()), records: 4_000, costOf: byClock },
  },
  {
    ...{ name: 'waits, 8 bare loops at once with recorded spans by hand', ratio: 'bareSpansToNoneWaitingEight' },
    run: (records, which) => inEightLoops(records, which === 'none' ? bareCalls : bareSpans),
    ...{ records: 4_000, costOf: byClock },
  },
];

async function inEightLoops(records: readonly ReceivedRecord[], loop: typeof bareSpans): Promise<RunCost> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  const handler = async (): Promise<void> => {
    await waits();
  };
  await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      loop(
        records.filter((_record, at) => at % 8 === i),
        handler,
      ),
    ),
  );
  return costSince(startedAt, cpuBefore, records.length);
}

/** What is left of the throughput of a handler of 1 ms with recorded spans, metrics and logs? Rounds in which one follows the other at once. */
export const waitingHandler: Part<PartSetting> = ({ say, isQuick }) =>
  withContexts(async () => {
    const rounds = isQuick ? 1 : 7;
    const rows = [];
    const ratios: Record<string, number> = {};
    for (const { name, ratio, run, records: count, costOf } of cases) {
      const records = tracedRecords(isQuick ? count / 10 : count, true);
      const costs = { none: [] as number[], all: [] as number[] };
      // The first round warms up and does not count.
      for (let round = 0; round <= rounds; round++) {
        for (const which of ['none', 'all'] as const) {
          const cost = costOf(await run(records, which), records.length);
          if (round > 0) costs[which].push(cost);
          say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${name}, ${which}: ${Math.round(cost)} µs`);
        }
      }
      const toNone = rounded(median(costs.all.map((cost, round) => (costs.none[round] ?? Number.NaN) / cost)), 3);
      const rate = (which: 'none' | 'all'): number => Math.round(1e6 / median(costs[which]));
      rows.push({ table, name, none: rate('none'), all: rate('all'), toNone });
      ratios[ratio] = toNone;
    }
    return { rows, ratios };
  });
