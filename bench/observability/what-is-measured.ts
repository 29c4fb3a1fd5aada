import { createHook } from 'node:async_hooks';
import type { Plugin } from '@kafka-worker/core';
import { metrics, tracing } from '@kafka-worker/observability';
import { Registry } from 'prom-client';
import type { Part, PartSetting } from '../part.ts';
import { rounded } from '../statistics.ts';
import { replay, tracedRecords } from './replayed-run.ts';
import { newTracerProvider, propagator } from './tracer-providers.ts';

const table = 'what happens for each record, handler returns nothing';

const cases: readonly { readonly name: string; readonly plugins: () => readonly Plugin[] }[] = [
  { name: 'none', plugins: () => [] },
  { name: 'metrics', plugins: () => [metrics({ registry: new Registry() })] },
  { name: 'tracing', plugins: () => [tracing({ tracerProvider: newTracerProvider(), propagator })] },
];

/** How often is the clock read, and how many promises, timers and handles are made, for each record? Counted, not timed. */
export const whatIsMeasured: Part<PartSetting> = async ({ say, isQuick }) => {
  const count = isQuick ? 10_000 : 100_000;
  const records = tracedRecords(count, true);
  const rows = [];
  for (const { name, plugins } of cases) {
    const counts = { clock: 0, promises: 0, others: 0 };
    let before = counts;
    let during = counts;
    let isBegun = false;
    const mark = (): void => {
      if (isBegun) during = difference(counts, before);
      else before = { ...counts };
      isBegun = true;
    };
    await counted(counts, () => replay({ records, plugins: plugins(), handler: () => {}, mark }));
    const perRecord = (value: number): number => rounded(value / count, 3);
    const row = {
      ...{ table, name, clockReads: perRecord(during.clock), promises: perRecord(during.promises) },
      timersAndHandles: perRecord(during.others),
    };
    rows.push(row);
    say(JSON.stringify(row));
  }
  const none = rows[0];
  return {
    rows,
    ratios: { noneClockReads: none?.clockReads ?? Number.NaN, nonePromises: none?.promises ?? Number.NaN },
  };
};

interface Counts {
  clock: number;
  promises: number;
  others: number;
}

function difference(now: Counts, before: Counts): Counts {
  return {
    clock: now.clock - before.clock,
    promises: now.promises - before.promises,
    others: now.others - before.others,
  };
}

/** Every clock reads `performance.now` in the end, and whatever is asynchronous is known to the hooks. */
async function counted(counts: Counts, run: () => Promise<unknown>): Promise<void> {
  const now = performance.now.bind(performance);
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') counts.promises++;
      else counts.others++;
    },
  });
  performance.now = () => {
    counts.clock++;
    return now();
  };
  hook.enable();
  try {
    await run();
  } finally {
    hook.disable();
    performance.now = now;
  }
}
