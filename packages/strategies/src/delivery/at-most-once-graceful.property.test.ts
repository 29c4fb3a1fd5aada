import { describe, expect, it } from '@jest/globals';
import { Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import fc from 'fast-check';
import { perKey, perPartition, retry, serial, skip } from '../index.ts';
import { atMostOnce } from './at-most-once.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const PARTITIONS = 3;

const who = fc.nat(1);
const partition = fc.nat(PARTITIONS - 1);
/** At once, or when so many more commits have gone to the broker or come back from it. */
const commits = fc.option(fc.nat(3));
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 20, 300, 1_500) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const), partition, records: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'stop' as const,
        'pause' as const,
        'resume' as const,
        'revoke' as const,
        'rebalance' as const,
      ),
      ...{ who, partition, commits },
    }),
  },
);
const plan = fc.record({
  strategy: fc.constantFrom(serial, perPartition, perKey),
  inFlightRecords: fc.constantFrom(3, 10, 1_000),
  durationsMs: fc.array(fc.constantFrom(0, 1, 50, 300), { minLength: 1, maxLength: 5 }),
  failures: fc.array(fc.nat(2), { minLength: 1, maxLength: 5 }),
  steps: fc.array(step, { minLength: 10, maxLength: 25, size: 'max' }),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

/** What is broken after a life in which nobody crashes, no partition is lost, and there is time enough for everything. */
async function live({ strategy, inFlightRecords, durationsMs, failures, steps }: Plan): Promise<readonly string[]> {
  const broken: string[] = [];
  const begun = new Map<string, number>();
  const ended = new Set<string>();
  let due: { commits: number; readonly act: () => void }[] = [];
  const kafka = fakeKafka({
    topics: { t: { partitions: PARTITIONS } },
    atAwait: ({ operation }) => {
      if (operation !== 'commit' && operation !== 'commit-answer') return;
      const now = due.filter((one) => one.commits-- <= 0);
      due = due.filter((one) => !now.includes(one));
      for (const { act } of now) act();
    },
  });
  const { clock } = kafka;
  const group = kafka.group('g');
  const workers: Worker[] = [];

  async function join(): Promise<void> {
    const id = workers.length;
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock, logger: quiet, random: () => 0.5, limits: { inFlightRecords } },
      ...{ delivery: atMostOnce(), concurrency: strategy() },
      onFailure: retry({ maxAttempts: 2, backoff: { initialMs: 30 }, then: skip({ log: false }) }),
      handler: async ({ partition: number, offset }, { attempt }) => {
        const name = `${number}@${offset}`;
        if ((begun.get(name) ?? id) !== id || ended.has(name)) broken.push(`${name} is handled twice`);
        begun.set(name, id);
        const ms = durationsMs[offset % durationsMs.length] ?? 0;
        if (ms > 0) await new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
        if (attempt <= (failures[offset % failures.length] ?? 0)) throw new Error(name);
      },
    });
    worker.on('settled', ({ record }) => void ended.add(`${record.partition}@${record.offset}`));
    worker.finished.catch((error: unknown) => broken.push(`a worker failed: ${error}`));
    workers.push(worker);
    worker.start().catch(() => {});
    await clock.settle();
  }
  const alive = (): Worker[] => workers.filter(({ state }) => state === 'running');
  const act = (action: Plan['steps'][number] & { readonly who: number; readonly partition: number }): void => {
    const which = { topic: 't', partition: action.partition };
    const worker = alive()[action.who];
    if (action.do === 'stop') void worker?.stop();
    else if (action.do === 'pause' || action.do === 'resume') worker?.[action.do]([which]);
    else if (action.do === 'rebalance') group.rebalance();
    else if (action.who < group.size) {
      const owned = group.assignment(action.who).filter((one) => one.partition === action.partition);
      // The fake refuses what makes no sense at the moment.
      try {
        group.revoke(owned, action.who);
      } catch {}
    }
  };

  await join();
  for (const action of steps) {
    if (action.do === 'wait') await clock.advance(action.ms);
    else if (action.do === 'join') {
      if (alive().length < 2) await join();
    } else if (action.do === 'send') {
      const keys = Array.from({ length: action.records }, (_, i) => `${i % 3}`);
      kafka.send(keys.map((key) => ({ topic: 't', partition: action.partition, key, value: '' })));
    } else if (action.commits === null) act(action);
    else due.push({ commits: action.commits, act: () => act(action) });
  }
  due = [];
  await clock.advance(20_000);
  if (alive().length === 0) await join();
  for (const worker of alive()) worker.resume();
  group.rebalance();
  await clock.advance(20_000);
  for (const record of kafka.records('t')) {
    const name = `${record.partition}@${record.offset}`;
    if (!ended.has(name)) broken.push(`${name} is lost`);
  }
  for (const worker of alive()) void worker.stop();
  await clock.advance(30_000);
  if (clock.pendingTimers > 0) broken.push(`${clock.pendingTimers} timers are left`);
  return broken;
}

describe('Under atMostOnce, as long as nobody crashes', () => {
  it('stops, rebalances and pauses at any moment lose no record and repeat none', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (given) => {
        expect(await live(given)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});
