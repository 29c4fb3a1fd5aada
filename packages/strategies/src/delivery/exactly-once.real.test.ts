import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type KafkaCluster, type KafkaConsumer, systemClock, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { sourceProgram } from '../../../core/src/testing/source-program.ts';
import { skip } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const program = fileURLToPath(new URL('../testing/exactly-once-process.ts', import.meta.url));
const PARTITIONS = 4;
const RECORDS = 10_000;
const KEYS = 97;
const KILLS = 4;
/** A session, what a transaction may take, and how often brokers look for those that took longer. */
const AT_WORK_MS = 60_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const options = { clock: systemClock, logger: quiet };

const processes: ChildProcess[] = [];
afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});

/** A worker process. `commits` counts what it has heard of. */
interface WorkerProcess {
  readonly child: ChildProcess;
  commits: number;
  /** It has stopped itself inside a transaction. */
  isInside: boolean;
  /** How many of its commits have failed. */
  refusals: number;
}

function startWorker(...names: readonly string[]): WorkerProcess {
  const args = sourceProgram(program, brokers ?? '', ...names);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(child);
  const started = { child, commits: 0, isInside: false, refusals: 0 };
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'inside') started.isInside = true;
    else if (line === 'refused') started.refusals++;
    else started.commits++;
  });
  return started;
}

/** Reads what is committed into `values`, as any consumer of the outputs does, until all of it has been there for a while. */
async function readAll(
  consumer: KafkaConsumer,
  topic: string,
  values: string[],
  until: () => boolean,
  count = RECORDS,
): Promise<void> {
  consumer.subscribe([topic]);
  const deadline = Date.now() + 90_000;
  let quietSince = Date.now();
  while (Date.now() < deadline && !(values.length >= count && until() && Date.now() - quietSince > 3_000)) {
    const poll = await consumer.poll(500, 200);
    for (const { type, partitions } of poll.events) {
      if (type === 'assigned') consumer.assign(partitions.map((one) => ({ ...one, offset: 0 })));
      else consumer.release(partitions);
    }
    if (poll.records.length > 0) quietSince = Date.now();
    for (const { value } of poll.records) values.push(String(value));
  }
}

/** What there is more or less than once, or too early for its key. */
function faultsOf(values: readonly string[]): string[] {
  const faults: string[] = [];
  const counts = new Map<string, number>();
  const last = new Map<string, number>();
  for (const value of values) {
    const number = value.split('=')[1] ?? '';
    counts.set(number, (counts.get(number) ?? 0) + 1);
    const key = String(Number(number) % KEYS);
    if (Number(number) < (last.get(key) ?? -1)) faults.push(`${number} comes after ${last.get(key)}`);
    last.set(key, Number(number));
  }
  for (let i = 0; i < RECORDS; i++) {
    const count = counts.get(String(i)) ?? 0;
    if (count !== 1) faults.push(`${i} is there ${count} times`);
  }
  return faults;
}

async function fill(cluster: KafkaCluster, topic: string): Promise<void> {
  const producer = cluster.producer(options);
  await producer.connect({ timeoutMs: 20_000 });
  try {
    // A key is always in one partition, and its numbers rise.
    const messages = Array.from({ length: RECORDS }, (_, i) => ({
      ...{ topic, partition: (i % KEYS) % PARTITIONS, key: `${i % KEYS}`, value: `${i}` },
    }));
    await Promise.all(messages.map((message) => producer.send(message)));
  } finally {
    await producer.close(5_000);
  }
}

/** A filled topic, and everything that a reader of the outputs sees until `life` is over. */
async function live(life: (names: readonly string[], outputs: readonly string[]) => Promise<void>): Promise<string[]> {
  const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
  const admin = cluster.admin(options);
  const reader = cluster.consumer({ ...options, groupId: `r-${randomUUID()}`, groupProtocol: 'classic' });
  await Promise.all([admin.connect({ timeoutMs: 20_000 }), reader.connect({ timeoutMs: 20_000 })]);
  const [topic, output, groupId] = [`in-${randomUUID()}`, `out-${randomUUID()}`, `g-${randomUUID()}`];
  try {
    for (const name of [topic, output]) await admin.createTopic(name, { partitions: PARTITIONS });
    await fill(cluster, topic);
    let isOver = false;
    const values: string[] = [];
    const reading = readAll(reader, output, values, () => isOver);
    await life([topic, output, groupId], values);
    isOver = true;
    await reading;
    return values;
  } finally {
    await Promise.all([admin.close(), reader.close()]);
  }
}

async function ended({ child }: { readonly child: ChildProcess }, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** Until it has heard of some commits: then it is at work. */
async function atWork(worker: WorkerProcess): Promise<void> {
  const before = worker.commits;
  for (const deadline = Date.now() + AT_WORK_MS; worker.commits < before + 3; await sleep(5)) {
    if (worker.child.exitCode !== null) throw new Error('the worker has ended by itself');
    if (Date.now() > deadline) throw new Error(`the worker has not got to work within ${AT_WORK_MS} ms`);
  }
}

onRealKafka('workers under exactlyOnce on real Kafka', () => {
  it('give every record exactly one output, in order per key, whenever they are killed', async () => {
    const seenAtKills: number[] = [];
    const values = await live(async (names, outputs) => {
      // Two at a time every other time, so that partitions also move between those that live.
      let steady = startWorker(...names);
      for (let kill = 0; kill < KILLS; kill++) {
        const victim = steady;
        await atWork(victim);
        if (kill % 2 === 0) steady = startWorker(...names);
        await sleep(Math.random() * 150);
        seenAtKills.push(outputs.length);
        await ended(victim, 'SIGKILL');
        if (steady === victim) steady = startWorker(...names);
      }
    });
    // Each of them in the middle of the work.
    expect(seenAtKills.filter((seen) => seen < RECORDS)).toHaveLength(KILLS);
    expect(faultsOf(values)).toEqual([]);
  }, 180_000);

  it('write nothing any more when they wake up after others have taken their partitions over', async () => {
    let seenAtStop = RECORDS;
    const values = await live(async (names, outputs) => {
      const old = startWorker(...names);
      await atWork(old);
      seenAtStop = outputs.length;
      old.child.kill('SIGSTOP');
      const next = startWorker(...names);
      await atWork(next);
      old.child.kill('SIGCONT');
      await sleep(3_000);
      await ended(next, 'SIGTERM');
      // The old one is a member again, and does what is left.
      await atWork(old).catch(() => {});
    });
    expect(seenAtStop).toBeLessThan(RECORDS);
    expect(faultsOf(values)).toEqual([]);
  }, 180_000);

  it.each(['messages', 'offsets'])(
    'write nothing any more when they wake up inside a transaction, behind its %s',
    async (step) => {
      let seenAtStop = RECORDS;
      let refusals = 0;
      const values = await live(async (names, outputs) => {
        const old = startWorker(...names, `stops-after-${step}`);
        for (let i = 0; i < 6_000 && !old.isInside; i++) await sleep(5);
        expect(old.isInside).toBe(true);
        seenAtStop = outputs.length;
        const next = startWorker(...names);
        await atWork(next);
        // It goes on with what is left to do of its transaction, of which the broker knows no more.
        old.child.kill('SIGCONT');
        for (let i = 0; i < 2_000 && old.refusals === 0; i++) await sleep(5);
        refusals = old.refusals;
        await ended(next, 'SIGTERM');
        // The old one is a member again, and does what is left.
        await atWork(old).catch(() => {});
      });
      expect(refusals).toBeGreaterThan(0);
      expect(seenAtStop).toBeLessThan(RECORDS);
      expect(faultsOf(values)).toEqual([]);
    },
    180_000,
  );

  it('lose nothing to a message that the broker refuses with its whole batch', async () => {
    const kafka = confluentKafka({ brokers: (brokers ?? '').split(',') });
    const admin = kafka.admin(options);
    const reader = kafka.consumer({ ...options, groupId: `r-${randomUUID()}`, groupProtocol: 'classic' });
    await Promise.all([admin.connect({ timeoutMs: 20_000 }), reader.connect({ timeoutMs: 20_000 })]);
    const [topic, output] = [`in-${randomUUID()}`, `small-${randomUUID()}`];
    const failed: number[] = [];
    const count = 200;
    const bad = 57;
    try {
      await admin.createTopic(topic, { partitions: 1 });
      // Less than what the client itself would refuse.
      await admin.createTopic(output, { partitions: 1, config: { 'max.message.bytes': '20000' } });
      const producer = kafka.producer(options);
      await producer.connect({ timeoutMs: 20_000 });
      await Promise.all(Array.from({ length: count }, (_, i) => producer.send({ topic, value: `${i}` })));
      await producer.close(5_000);
      const worker = new Worker({
        ...{ kafka, groupId: `g-${randomUUID()}`, topics: topic, logger: quiet, onFailure: skip({ log: false }) },
        delivery: exactlyOnce({ transactionalIdPrefix: 'small' }),
        handler: ({ offset, value }, { send }) =>
          send({ topic: output, value: offset === bad ? Buffer.alloc(50_000, 1) : value }),
      });
      worker.on('failed', ({ record }) => void failed.push(record.offset));
      await worker.start();
      const values: string[] = [];
      await readAll(reader, output, values, () => true, count - 1);
      const { error } = await worker.stop();
      expect(error).toBeUndefined();
      expect(failed).toEqual([bad]);
      const expected = Array.from({ length: count }, (_, i) => String(i)).filter((value) => value !== String(bad));
      expect(values).toEqual(expected);
    } finally {
      await Promise.all([admin.close(), reader.close()]);
    }
  }, 120_000);
});
