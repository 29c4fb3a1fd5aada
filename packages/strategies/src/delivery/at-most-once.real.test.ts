import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { sourceProgram } from '../../../core/src/testing/source-program.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const program = fileURLToPath(new URL('../testing/at-most-once-process.ts', import.meta.url));
const PARTITIONS = 4;
const RECORDS = 4_000;
const KILLS = 2;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const processes: ChildProcess[] = [];
afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});

/** A worker process; the records that it has begun are added to `begun`. */
function startWorker(topic: string, groupId: string, begun: string[]) {
  const args = sourceProgram(program, brokers ?? '', topic, groupId);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(child);
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => void begun.push(line));
  const exited = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  const read = new Promise<void>((resolve) => void lines.once('close', () => void setImmediate(resolve)));
  const ended = Promise.all([exited, read]);
  return { child, ended };
}

onRealKafka('a worker under atMostOnce that is killed on real Kafka', () => {
  it('never handles a record twice, whenever it is killed', async () => {
    const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
    const options = { clock: systemClock, logger: quiet };
    const [admin, producer] = [cluster.admin(options), cluster.producer(options)];
    await Promise.all([admin.connect({ timeoutMs: 20_000 }), producer.connect({ timeoutMs: 20_000 })]);
    const [topic, groupId] = [`at-most-once-${randomUUID()}`, `g-${randomUUID()}`];
    const begun: string[] = [];
    try {
      await admin.createTopic(topic, { partitions: PARTITIONS });
      const messages = Array.from({ length: RECORDS }, (_, i) => ({
        topic,
        partition: i % PARTITIONS,
        key: `${i % 97}`,
        value: `${i}`,
      }));
      await Promise.all(messages.map((message) => producer.send(message)));
      for (let kill = 0; kill < KILLS; kill++) {
        const before = begun.length;
        const { child, ended } = startWorker(topic, groupId, begun);
        // At a random moment of its work, not of its start.
        while (begun.length === before && child.exitCode === null) await sleep(5);
        await sleep(Math.random() * 150);
        child.kill('SIGKILL');
        await ended;
      }
      const { child, ended } = startWorker(topic, groupId, begun);
      const before = begun.length;
      while (begun.length === before) await sleep(20);
      // Quiet for a second: it has come to the end.
      for (let last = -1; last !== begun.length; ) {
        last = begun.length;
        await sleep(1_000);
      }
      child.kill('SIGTERM');
      await ended;
      expect(begun.length).toBeGreaterThan(KILLS);
      const seen = new Set<string>();
      const twice = begun.filter((name) => seen.size === seen.add(name).size);
      expect(twice).toEqual([]);
      // What a kill can lose is what was polled by then.
      expect(begun.length).toBeGreaterThan(RECORDS - KILLS * 1_500);
    } finally {
      await Promise.all([admin.close(), producer.close(5_000)]);
    }
  }, 120_000);
});
