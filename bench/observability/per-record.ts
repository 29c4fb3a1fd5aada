import type { Plugin, ReceivedRecord } from '@kafka-worker/core';
import { metrics, tracing } from '@kafka-worker/observability';
import { Registry } from 'prom-client';
import type { Part, PartSetting } from '../part.ts';
import { median, rounded } from '../statistics.ts';
import { bareCalls, bareSpans } from './bare-spans.ts';
import { type RunCost, replay, tracedRecords } from './replayed-run.ts';
import { newTracerProvider, propagator, withContexts } from './tracer-providers.ts';

const table = 'processor time of a record, microseconds';

type Way = (records: Readonly<Record<'sampled' | 'unsampled', readonly ReceivedRecord[]>>) => Promise<RunCost>;

const returnsNothing = (): void => {};
const isAsync = async (): Promise<void> => {};
const newTracing = (): Plugin => tracing({ tracerProvider: newTracerProvider(), propagator });

const ways = {
  'worker, handler returns nothing': ({ unsampled }) =>
    replay({ records: unsampled, plugins: [], handler: returnsNothing }),
  'the same, metrics': ({ unsampled }) =>
    replay({ records: unsampled, plugins: [metrics({ registry: new Registry() })], handler: returnsNothing }),
  'worker, async handler': ({ unsampled }) => replay({ records: unsampled, plugins: [], handler: isAsync }),
  'the same, unsampled spans': ({ unsampled }) =>
    replay({ records: unsampled, plugins: [newTracing()], handler: isAsync }),
  'the same, recorded spans': ({ sampled }) => replay({ records: sampled, plugins: [newTracing()], handler: isAsync }),
  'a loop, async handler': ({ unsampled }) => bareCalls(unsampled, isAsync),
  'the loop, unsampled spans by hand': ({ unsampled }) => bareSpans(unsampled, isAsync),
  'the loop, recorded spans by hand': ({ sampled }) => bareSpans(sampled, isAsync),
} as const satisfies Readonly<Record<string, Way>>;

type WayName = keyof typeof ways;

/**
 * What do metrics and tracing cost a record? Rounds in which one way follows the other at once; what counts is what each adds to the same without it, in
 * processor time, which other work on the machine changes less than it changes the clock.
 */
export const perRecord: Part<PartSetting> = ({ say, isQuick }) =>
  withContexts(async () => {
    const count = isQuick ? 10_000 : 50_000;
    const rounds = isQuick ? 1 : 7;
    const records = { sampled: tracedRecords(count, true), unsampled: tracedRecords(count, false) };
    const names = Object.keys(ways) as WayName[];
    const costs = new Map<WayName, number[]>(names.map((name) => [name, []]));
    // The first round warms the compiler up and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const name of names) {
        const { cpuMicroseconds } = await ways[name](records);
        if (round > 0) costs.get(name)?.push(cpuMicroseconds);
        say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${name}: ${rounded(cpuMicroseconds)} µs`);
      }
    }
    const added = (name: WayName, to: WayName): number[] => {
      const base = costs.get(to) ?? [];
      return (costs.get(name) ?? []).map((cost, round) => cost - (base[round] ?? Number.NaN));
    };
    const ratio = (ours: readonly number[], bare: readonly number[]): number =>
      rounded(median(ours.map((cost, round) => cost / (bare[round] ?? Number.NaN))));
    const bare = (name: WayName): number[] => added(name, 'a loop, async handler');
    const ours = (name: WayName): number[] => added(name, 'worker, async handler');
    return {
      rows: names.map((name) => ({ table, name, microseconds: rounded(median(costs.get(name) ?? [])) })),
      ratios: {
        metricsMicroseconds: rounded(median(added('the same, metrics', 'worker, handler returns nothing'))),
        unsampledToBare: ratio(ours('the same, unsampled spans'), bare('the loop, unsampled spans by hand')),
        recordedToBare: ratio(ours('the same, recorded spans'), bare('the loop, recorded spans by hand')),
      },
    };
  });
