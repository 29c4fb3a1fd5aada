import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { sourceProgram } from '../../../core/src/testing/source-program.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const program = fileURLToPath(new URL('../testing/at-most-once-process.ts', import.meta.url));
const PARTITIONS = 4;
const RECORDS = 8_000;
/** The program's `limits.inFlightRecords`: the chunk that is being committed is among them. */
const IN_FLIGHT = 100;
/** A process that is quick to start is killed then, so that every one leaves work. */
const MOST_A_ROUND = 500;
/** When the processes of a round are killed, and how many there are at a time. */
const ROUNDS = [
  { from: 'first record', processes: 1 },
  { from: 'spawn', processes: 1 },
  { from: 'spawn', processes: 1 },
  { from: 'first record', processes: 2 },
  { from: 'spawn', processes: 2 },
] as const;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const processes: ChildProcess[] = [];
afterAll(() => {
  for (const child of processes) child.kill('SIGKILL');
});

/** Where the workers are at work, and every record that they have begun. */
interface Scene {
  readonly topic: string;
  readonly groupId: string;
  readonly reader: 'direct' | 'librdkafka';
  readonly begun: string[];
}

/** Worker processes. They are static members: who comes next takes over at once, and need not wait for the sessions of those that were killed. */
function startWorkers(count: number, { topic, groupId, reader, begun }: Scene) {
  const children = Array.from({ length: count }, (_, id) => {
    const args = sourceProgram(program, brokers ?? '', topic, groupId, `${id}`, reader);
    return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  });
  processes.push(...children);
  const ends = children.map((child) => {
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => void begun.push(line));
    const exited = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
    const read = new Promise<void>((resolve) => void lines.once('close', () => void setImmediate(resolve)));
    return Promise.all([exited, read]);
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    for (const child of children) child.kill(signal);
    await Promise.all(ends);
  };
  return { children, end };
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await holds()); await sleep(5))
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
}

onRealKafka('a worker under atMostOnce that is killed on real Kafka', () => {
  // Together: most of the time is spent waiting for sessions of processes that were killed while they joined.
  it.concurrent.each(['direct', 'librdkafka'] as const)(
    'never handles a record twice, whenever it is killed (%s)',
    async (reader) => {
      const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
      const options = { clock: systemClock, logger: quiet };
      const scene: Scene = { topic: `at-most-once-${randomUUID()}`, groupId: `g-${randomUUID()}`, reader, begun: [] };
      const { topic, groupId, begun } = scene;
      const [admin, producer] = [cluster.admin(options), cluster.producer(options)];
      const group = cluster.consumer({ ...options, groupId, groupProtocol: 'classic' });
      const clients = [admin, producer, group];
      await Promise.all(clients.map((client) => client.connect({ timeoutMs: 20_000 })));
      const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }));
      const committed = async (): Promise<number> =>
        (await group.committed(partitions)).reduce((sum, { offset = 0 }) => sum + offset, 0);
      try {
        await admin.createTopic(topic, { partitions: PARTITIONS });
        const messages = Array.from({ length: RECORDS }, (_, i) => ({
          ...{ topic, partition: i % PARTITIONS },
          ...{ key: `${i % 97}`, value: `${i}` },
        }));
        await Promise.all(messages.map((message) => producer.send(message)));
        let startMs = Number.POSITIVE_INFINITY;
        let killed = 0;
        for (const { from, processes: count } of ROUNDS) {
          const before = begun.length;
          const spawnedAt = Date.now();
          const { children, end } = startWorkers(count, scene);
          if (from === 'first record') {
            await until(() => begun.length > before, 'the first record of a round');
            startMs = Math.min(startMs, Date.now() - spawnedAt);
            await sleep(Math.random() * 150);
          } else {
            // While it joins, or commits what it is about to begin, as likely as at work.
            const killAt = spawnedAt + (0.5 + Math.random() * 0.9) * startMs;
            await until(() => Date.now() >= killAt || begun.length >= before + MOST_A_ROUND, 'the moment of a kill');
          }
          await end('SIGKILL');
          // Each was at work, and left some.
          expect(children.map(({ signalCode }) => signalCode)).toEqual(children.map(() => 'SIGKILL'));
          killed += count;
          const all = await committed();
          expect(all).toBeLessThan(RECORDS);
          // Each record's commit was acknowledged before it was begun, and of those at most so many a process were not begun yet.
          expect(begun.length).toBeLessThanOrEqual(all);
          expect(begun.length).toBeGreaterThanOrEqual(all - killed * IN_FLIGHT);
        }
        const { end } = startWorkers(2, scene);
        await until(async () => (await committed()) === RECORDS, 'everything is committed');
        await end('SIGTERM');
        const seen = new Set<string>();
        expect(begun.filter((name) => seen.size === seen.add(name).size)).toEqual([]);
        expect(begun.length).toBeGreaterThanOrEqual(RECORDS - killed * IN_FLIGHT);
      } finally {
        await Promise.all([admin.close(), producer.close(5_000), group.close()]);
      }
    },
    180_000,
  );
});
