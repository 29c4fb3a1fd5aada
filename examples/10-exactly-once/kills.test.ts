import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { KafkaCluster } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { type EmbeddedKafka, embeddedKafka } from '@kafka-worker/core/testing';
import { type ScriptProcess, scriptProcess } from '../../scripts/script-process.ts';
import type { ExampleSummary } from '../harness/example-summary.ts';
import { createTopic, orders, produce, seeded } from '../harness/example-topic.ts';
import { openBank } from './bank.ts';
import { balancesAfter, bookingsOf } from './booking.ts';

const { partitions, keys } = seeded;
const KILLS = 3;
/** A worker that is started behind one that was killed waits for its session, and for its transaction, to end. */
const AT_WORK_TIMEOUT_MS = 150_000;

const brokers = process.env.KAFKA_BROKERS;
const postgres = process.env.POSTGRES_URL;
const processes: ScriptProcess[] = [];
afterEach(() => {
  for (const { child } of processes.splice(0)) child.kill('SIGKILL');
});

/** A process with the example; the cluster is outside of it. */
interface Running extends ScriptProcess {
  /** How many handler calls have ended. */
  readonly calls: () => number;
}

function start(trace: string, ...args: readonly string[]): Running {
  const started = scriptProcess(['examples/run.ts', '10', '--json', '--trace', trace, ...args]);
  processes.push(started);
  const calls = (): number => (existsSync(trace) ? readFileSync(trace, 'utf8').split('\n').length - 1 : 0);
  return { ...started, calls };
}

/** Kills it when so many calls have ended, and a random moment later. */
async function killAfter({ child, ended, calls }: Running, count: number, withinMs: number): Promise<void> {
  const deadlineMs = performance.now() + AT_WORK_TIMEOUT_MS;
  while (calls() < count && child.exitCode === null && performance.now() < deadlineMs) await sleep(20);
  await sleep(Math.random() * withinMs);
  child.kill('SIGKILL');
  const { code, output } = await ended;
  // Killed it has no code: with one it had ended by itself, and nothing was tried.
  expect({ code, output, isAtWork: calls() >= count }).toEqual({ code: null, output, isAtWork: true });
}

/** Its last run: to the end. */
async function summaryOf({ ended }: Running): Promise<ExampleSummary> {
  const { code, output } = await ended;
  // The whole output, for it says what is wrong.
  if (code !== 0) throw new Error(`it ended with ${code}:\n${output}`);
  expect(output).toContain('{"example":"10"');
  return JSON.parse(output.split('\n').find((line) => line.startsWith('{"example"')) ?? '') as ExampleSummary;
}

/** What every account must hold in the end: computed from the input alone. */
function balancesOf(records: number): Record<string, number> {
  const payments = [...orders('t', records, keys)].map(({ value }) => ({ value: Buffer.from(String(value)) }));
  return Object.fromEntries(balancesAfter(payments.flatMap(bookingsOf)));
}

function rightOf(records: number): object {
  const sum = keys * 1_000;
  const balances = balancesOf(records);
  return { ...{ accounts: keys, sumOfBalances: sum, expectedSum: sum, wrongBalances: 0 }, balances };
}

async function fill(kafka: KafkaCluster, records: number): Promise<string> {
  const topic = `payments-${randomUUID()}`;
  await createTopic(kafka, topic, partitions);
  await produce(kafka, orders(topic, records, keys));
  return topic;
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'example-10-kills-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe(`example 10, killed in the middle, on ${brokers === undefined ? 'embedded' : 'real'} Kafka`, () => {
  let embedded: EmbeddedKafka | undefined;
  let kafka: KafkaCluster;
  let bootstrap: string;
  beforeAll(async () => {
    if (brokers === undefined) embedded = await embeddedKafka();
    bootstrap = brokers ?? embedded?.bootstrapServers ?? '';
    kafka = embedded ?? confluentKafka({ brokers: bootstrap.split(',') });
  });
  afterAll(async () => {
    await embedded?.[Symbol.asyncDispose]();
  });

  it('has booked, whenever it is killed, whole payments and those that are stored as done; in the end each of them once', async () => {
    const records = 400;
    const topic = await fill(kafka, records);
    const data = join(directory, randomUUID());
    const given = ['--kafka', bootstrap, '--topic', topic, '--group', topic, '--data', data];
    const sums: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      await killAfter(start(join(directory, randomUUID()), ...given), 25, 100);
      const bank = await openBank({ kafka, groupId: topic, topics: [topic] }, { data });
      const { figures, problem } = await bank.audit();
      await bank.close();
      expect(problem).toBeUndefined();
      expect(figures.sumOfBalances).toBe(figures.expectedSum);
      expect(figures.balances).not.toEqual(balancesOf(records));
      sums.push(Number(figures.sumOfBalances));
    }
    expect(sums).toHaveLength(KILLS);
    const { result, committed } = await summaryOf(start(join(directory, randomUUID()), ...given));
    expect(result).toEqual(rightOf(records));
    expect(Object.values(committed).reduce((sum, offset) => sum + offset, 0)).toBe(records);
  }, 480_000);

  it('has its directory for itself: a second process is refused, and the first goes on', async () => {
    const topic = await fill(kafka, 400);
    const data = join(directory, randomUUID());
    const given = ['--kafka', bootstrap, '--topic', topic, '--group', topic, '--data', data];
    const first = start(join(directory, randomUUID()), ...given);
    const deadlineMs = performance.now() + AT_WORK_TIMEOUT_MS;
    while (first.calls() === 0 && performance.now() < deadlineMs) await sleep(5);
    const { code, output } = await start(join(directory, randomUUID()), ...given).ended;
    expect({ code, output }).toEqual({
      code: 2,
      output: `--data: process ${first.child.pid} has ${data}. It is for one at a time; --postgres is for many.\n`,
    });
    expect((await summaryOf(first)).result).toEqual(rightOf(400));
  }, 240_000);

  const withPostgres = postgres === undefined ? it.skip : it;
  withPostgres(
    'has booked each payment once on a PostgreSQL, two processes at a time',
    async () => {
      const records = 6_000;
      const topic = await fill(kafka, records);
      const given = ['--kafka', bootstrap, '--topic', topic, '--group', topic, '--postgres', postgres ?? ''];
      const bank = await openBank({ kafka, groupId: topic, topics: [topic] }, { postgres: postgres ?? '' });
      let other = start(join(directory, randomUUID()), ...given);
      for (let kill = 0; kill < KILLS; kill++) {
        const victim = other;
        other = start(join(directory, randomUUID()), ...given);
        await killAfter(victim, 100, 300);
        // The other one may be at work: the audit is one look at the database.
        const { figures, problem } = await bank.audit();
        expect(problem).toBeUndefined();
        expect(figures.balances).not.toEqual(balancesOf(records));
      }
      expect((await summaryOf(other)).result).toEqual(rightOf(records));
      await bank.close();
    },
    480_000,
  );
});

const onRealKafka = brokers === undefined ? describe.skip : describe;
onRealKafka('example 10, --mode kafka, killed in the middle', () => {
  it('has written each booking once, for a reader with read_committed', async () => {
    const records = 30_000;
    const kafka = confluentKafka({ brokers: (brokers ?? '').split(',') });
    const topic = await fill(kafka, records);
    const given = ['--kafka', brokers ?? '', '--mode', 'kafka', '--topic', topic, '--group', topic];
    for (let kill = 0; kill < KILLS; kill++)
      await killAfter(start(join(directory, randomUUID()), ...given), 1_000, 400);
    const last = start(join(directory, randomUUID()), ...given);
    const { result, records: handledAtLast } = await summaryOf(last);
    // The last one had something to do: none of the kills came too late.
    expect(handledAtLast).toBeGreaterThan(0);
    expect(result).toEqual({ bookings: 2 * records, repeatedBookings: 0, lostBookings: 0, ...rightOf(records) });
  }, 480_000);
});
