import { describe, expect, it } from '@jest/globals';
import { type KafkaCluster, TransactionError, Worker } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import fc from 'fast-check';
import { deadLetter, parallel, perKey, perPartition, retry, serial } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const PARTITIONS = 3;

const who = fc.nat(1);
const partition = fc.nat(PARTITIONS - 1);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 20, 120, 1_500) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('send' as const), partition, records: fc.nat(9), gap: fc.nat(2) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'lose' as const), who, partition }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'kick' as const, 'stop' as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('rebalance' as const, 'join' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), ms: fc.constantFrom(100, 3_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      operation: fc.constantFrom(
        'init-transactions' as const,
        'send' as const,
        'send-offsets' as const,
        'commit-transaction' as const,
        'commit-transaction-answer' as const,
        'abort-transaction' as const,
      ),
      times: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom('retriable' as const, 'abortable' as const, 'fatal' as const),
      kafkaCode: fc.constantFrom(-185, 27, 22, 51),
    }),
  },
);
const plan = fc.record({
  concurrency: fc.constantFrom('serial', 'perPartition', 'perKey', 'parallel'),
  durationsMs: fc.array(fc.constantFrom(0, 1, 50, 800), { minLength: 1, maxLength: 5 }),
  failures: fc.array(fc.nat(2), { minLength: 1, maxLength: 5 }),
  steps: fc.array(step, { maxLength: 30, size: 'max' }),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;
const strategies = { serial: serial(), perPartition: perPartition(), perKey: perKey(), parallel: parallel() };

/** The cluster as one process sees it: its clients can be cut off together. */
function ofProcess(kafka: FakeKafka, clientId: string): KafkaCluster {
  return {
    kind: 'kafka-cluster',
    brokers: kafka.brokers,
    consumer: (options) => kafka.consumer({ ...options, clientId }),
    producer: (options) => kafka.producer({ ...options, clientId }),
    transactionalProducer: (options) => kafka.transactionalProducer({ ...options, clientId }),
    admin: (options) => kafka.admin({ ...options, clientId }),
  };
}

/** What is broken after such a life, and how much happened in it. `tamperWith` breaks a process's cluster on purpose. */
async function live(
  given: Plan,
  tamperWith = (kafka: KafkaCluster): KafkaCluster => kafka,
): Promise<readonly string[]> {
  const { durationsMs, failures, steps } = given;
  const kafka = fakeKafka({
    topics: { t: { partitions: PARTITIONS }, out: { partitions: PARTITIONS }, dead: { partitions: 1 } },
    sessionTimeoutMs: 2_500,
    requestTimeoutMs: 1_000,
  });
  const { clock } = kafka;
  const group = kafka.group('g');
  const workers: { readonly name: string; readonly worker: Worker; isCrashed: boolean }[] = [];

  async function join(): Promise<void> {
    const name = `p${workers.length}`;
    const own = { name, isCrashed: false, worker: undefined as unknown as Worker };
    own.worker = new Worker({
      ...{ kafka: tamperWith(ofProcess(kafka, name)), groupId: 'g', topics: 't', clock, logger: quiet },
      ...{ random: () => 0.5, revokeDrainMs: 1_000, connectTimeoutMs: 2_000 },
      delivery: exactlyOnce({ transactionalIdPrefix: 'x', transactionTimeoutMs: 1_500 }),
      concurrency: strategies[given.concurrency],
      onFailure: retry({
        maxAttempts: 2,
        backoff: { initialMs: 30 },
        then: deadLetter({ topic: 'dead', brake: false }),
      }),
      handler: async (record, { attempt, send, signal }) => {
        const source = `${record.partition}@${record.offset}`;
        send({ topic: 'out', partition: record.partition, key: record.key, value: source });
        const ms = durationsMs[record.offset % durationsMs.length] ?? 0;
        if (ms > 0) await new Promise<void>((resolve) => void clock.setTimeout(resolve, ms));
        signal.throwIfAborted();
        if (attempt <= (failures[record.offset % failures.length] ?? 0)) throw new Error(source);
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
      kafka.send(
        Array.from({ length: action.records }, (_, i) => ({
          topic: 't',
          partition: action.partition,
          key: `${i % 3}`,
          value: '',
        })),
      );
      kafka.appendGap({ topic: 't', partition: action.partition }, action.gap);
    } else if (action.do === 'revoke' || action.do === 'lose') {
      const chosen = member.filter((one) => one.partition === action.partition);
      if (index < group.size) ignoreRefusal(() => group[action.do](chosen, index));
    } else if (action.do === 'crash') {
      const one = alive()[index];
      if (one === undefined) continue;
      one.isCrashed = true;
      kafka.crash(one.name);
      await join();
    } else if (action.do === 'kick') {
      if (index < group.size) group.kick(index);
    } else if (action.do === 'stop') {
      void alive()[index]?.worker.stop({ timeoutMs: 500 });
    } else if (action.do === 'rebalance') group.rebalance();
    else if (action.do === 'join') {
      if (alive().length < 2) await join();
    } else if (action.do === 'outage') clock.setTimeout(kafka.outage(), action.ms);
    else if (action.do === 'fail') {
      const { kind, kafkaCode } = action;
      kafka.fail(action.operation, action.times, () => new TransactionError(kind, 'the test says so', { kafkaCode }));
    }
  }
  // The weather clears, and somebody finishes.
  await clock.advance(5_000);
  group.rebalance();
  for (const { worker } of alive()) void worker.stop({ timeoutMs: 500 });
  await clock.advance(20_000);
  await join();
  await clock.advance(60_000);
  // What was planned to fail and has not come up yet may end that one at its start.
  for (let tries = 0; tries < 12 && alive().length === 0; tries++) {
    await join();
    await clock.advance(60_000);
  }
  return judged(kafka);
}

/** What a reader of the outputs sees that must not be. */
function judged(kafka: FakeKafka): readonly string[] {
  const broken: string[] = [];
  const sources = new Map<string, number>();
  const note = (source: string): void => void sources.set(source, (sources.get(source) ?? 0) + 1);
  const last = new Map<string, number>();
  for (const { key, value } of kafka.records('out')) {
    const source = String(value);
    note(source);
    const [partition, offset] = source.split('@').map(Number) as [number, number];
    const lane = `${partition}/${String(key)}`;
    if (offset < (last.get(lane) ?? -1)) broken.push(`${source} comes after ${lane}@${last.get(lane)}`);
    last.set(lane, offset);
  }
  for (const { headers } of kafka.records('dead')) {
    const [at, offset] = ['partition', 'offset'].map((name) => String(headers.get(`dead-letter.source.${name}`)));
    note(`${at}@${offset}`);
  }
  for (const { partition: at, offset } of kafka.records('t')) {
    const count = sources.get(`${at}@${offset}`) ?? 0;
    if (count !== 1) broken.push(`${at}@${offset} is there ${count} times`);
    if ((kafka.committed('g', 't').get(at) ?? 0) <= offset) broken.push(`${at}@${offset} is not committed`);
  }
  return broken;
}

/** The fake refuses what makes no sense at the moment. */
function ignoreRefusal(action: () => void): void {
  try {
    action();
  } catch {}
}

/** Offsets outside of the transaction: what the delivery promises not to do. */
function committingOutside(kafka: KafkaCluster): KafkaCluster {
  return {
    ...kafka,
    transactionalProducer: (options) => {
      const producer = kafka.transactionalProducer(options);
      producer.sendOffsets = (offsets, consumer) => consumer.commit(offsets);
      return producer;
    },
  };
}

describe('Under exactlyOnce, whatever brokers and rebalances do, and whoever crashes', () => {
  it('every record has exactly one output, in order per key, and its offset is committed with it', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (given) => {
        expect(await live(given)).toEqual([]);
      }),
      { numRuns: Number(process.env.EXACTLY_ONCE_RUNS ?? 100) },
    );
  }, 120_000);

  it('would not hold if offsets were committed outside of the transaction', async () => {
    const result = await fc.check(
      fc.asyncProperty(plan, async (given) => {
        expect(await live(given, committingOutside)).toEqual([]);
      }),
      { numRuns: 200, endOnFailure: true, seed: 1 },
    );
    expect(result.failed).toBe(true);
    expect(String(result.errorInstance)).toMatch(/is there (0|2) times/);
  });
});
