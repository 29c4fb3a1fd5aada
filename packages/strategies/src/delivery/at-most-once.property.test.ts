import { describe, expect, it } from '@jest/globals';
import { CommitError, Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import fc from 'fast-check';
import { perKey, retry, serial, skip } from '../index.ts';
import { atMostOnce } from './at-most-once.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const PARTITIONS = 3;

const who = fc.nat(1);
const partition = fc.nat(PARTITIONS - 1);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 20, 300, 1_500) }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('send' as const), partition, records: fc.nat(9), gap: fc.nat(2) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'lose' as const), who, partition }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'kick' as const, 'stop' as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('rebalance' as const, 'join' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), ms: fc.constantFrom(100, 3_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail-commits' as const),
      operation: fc.constantFrom('commit' as const, 'commit-answer' as const),
      times: fc.integer({ min: 1, max: 3 }),
      kafkaCode: fc.constantFrom(7, 22, 25, 27),
    }),
  },
);
const plan = fc.record({
  isSerial: fc.boolean(),
  durationsMs: fc.array(fc.constantFrom(0, 1, 50, 800), { minLength: 1, maxLength: 5 }),
  failures: fc.array(fc.nat(2), { minLength: 1, maxLength: 5 }),
  steps: fc.array(step, { maxLength: 25, size: 'max' }),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

/** What is broken after a life with crashes: a crashed worker's handlers go on, as those of a process do until it is really gone. */
async function live({ isSerial, durationsMs, failures, steps }: Plan): Promise<readonly string[]> {
  const broken: string[] = [];
  /** Who began a record: nobody else ever may. */
  const begun = new Map<string, number>();
  const kafka = fakeKafka({ topics: { t: { partitions: PARTITIONS } } });
  const { clock } = kafka;
  const group = kafka.group('g');
  const workers: { readonly worker: Worker; isCrashed: boolean }[] = [];

  async function join(): Promise<void> {
    const id = workers.length;
    const own = { worker: undefined as unknown as Worker, isCrashed: false };
    own.worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock, logger: quiet, random: () => 0.5, revokeDrainMs: 1_000 },
      delivery: atMostOnce(),
      concurrency: isSerial ? serial() : perKey(),
      onFailure: retry({ maxAttempts: 2, backoff: { initialMs: 30 }, then: skip({ log: false }) }),
      handler: async (record, { attempt }) => {
        if (own.isCrashed) return new Promise<void>(() => {});
        const name = `${record.partition}@${record.offset}`;
        const committed = kafka.committed('g', 't').get(record.partition) ?? 0;
        if (committed <= record.offset) broken.push(`${name} begins, but ${committed} is committed`);
        const by = begun.get(name);
        if (by !== undefined && (by !== id || attempt === 1)) broken.push(`${name} is handled by ${by} and by ${id}`);
        begun.set(name, id);
        const ms = durationsMs[record.offset % durationsMs.length] ?? 0;
        if (ms > 0) await new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
        if (attempt <= (failures[record.offset % failures.length] ?? 0)) throw new Error(name);
      },
    });
    own.worker.finished.catch(() => {});
    workers.push(own);
    own.worker.start().catch(() => {});
    await clock.settle();
  }

  const alive = (): typeof workers => workers.filter((one) => !one.isCrashed && one.worker.state === 'running');
  await join();
  for (const action of steps) {
    const index = 'who' in action ? action.who : 0;
    const member = index < group.size ? group.assignment(index) : [];
    if (action.do === 'wait') await clock.advance(action.ms);
    else if (action.do === 'send') {
      const values = Array.from({ length: action.records }, (_, i) => ({
        topic: 't',
        partition: action.partition,
        key: `${i % 3}`,
        value: '',
      }));
      kafka.send(values);
      kafka.appendGap({ topic: 't', partition: action.partition }, action.gap);
    } else if (action.do === 'revoke' || action.do === 'lose') {
      const chosen = member.filter((one) => one.partition === action.partition);
      if (index < group.size) ignoreRefusal(() => group[action.do](chosen, index));
    } else if (action.do === 'crash') {
      // What it has begun is never heard of again, and nothing more of it begins.
      const one = alive()[index];
      if (one === undefined) continue;
      one.isCrashed = true;
      void one.worker.stop({ timeoutMs: 0 });
      ignoreRefusal(() => group.kick(index));
      await join();
    } else if (action.do === 'kick') {
      if (index < group.size) group.kick(index);
    } else if (action.do === 'stop') {
      const one = alive()[index];
      if (one !== undefined) void one.worker.stop({ timeoutMs: 500 });
    } else if (action.do === 'rebalance') group.rebalance();
    else if (action.do === 'join') {
      if (alive().length < 2) await join();
    } else if (action.do === 'outage') clock.setTimeout(kafka.outage(), action.ms);
    else if (action.do === 'fail-commits') {
      const { kafkaCode } = action;
      kafka.fail(action.operation, action.times, ({ offsets = [] }) => {
        const failed = offsets.map((next) => ({ ...next, kafkaCode, reason: 'the test says so' }));
        return new CommitError(failed, { retriable: kafkaCode === 7 });
      });
    }
  }
  await clock.advance(5_000);
  for (const { worker } of workers) void worker.stop({ timeoutMs: 100 });
  await clock.advance(120_000);
  for (const { worker } of workers)
    if (worker.state !== 'stopped' && worker.state !== 'failed') broken.push(`a worker is ${worker.state}`);
  return broken;
}

/** The fake refuses what makes no sense at the moment. */
function ignoreRefusal(action: () => void): void {
  try {
    action();
  } catch {}
}

describe('Under atMostOnce, whatever brokers and rebalances do, and whoever crashes', () => {
  it('no record is ever handled twice, and none whose commit is not acknowledged', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (given) => {
        expect(await live(given)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});
