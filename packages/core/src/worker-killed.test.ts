import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from './clock.ts';
import { confluentKafka } from './confluent/index.ts';
import { TestClients, uniqueName } from './testing/cluster-under-test.ts';
import { sourceProgram } from './testing/source-program.ts';

const brokers = process.env.KAFKA_BROKERS;
const program = fileURLToPath(new URL('./testing/worker-process.ts', import.meta.url));
const PARTITIONS = 4;
const RECORDS_PER_PARTITION = 500;
const KILLED_AFTER = 600;

const processes: ChildProcess[] = [];
afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});

/** A worker process, and what it says that it has handled: `partition:offset`, in order. */
function startWorker(topic: string, groupId: string) {
  const args = sourceProgram(program, brokers ?? '', topic, groupId);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(child);
  const handled: string[] = [];
  let look = (): void => {};
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    handled.push(line);
    look();
  });
  // Both: what it had written before it died is read to the end.
  const exited = Promise.all([
    new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    }),
    new Promise<void>((resolve) => {
      lines.once('close', () => setImmediate(resolve));
    }),
  ]).then(([status]) => status);
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      look = () => {
        if (holds()) resolve();
      };
      child.once('exit', () => reject(new Error(`the worker process ended early, after ${handled.length} records`)));
      look();
    });
  return { child, handled, exited, until };
}

const onRealKafka = brokers === undefined ? describe.skip : describe;

onRealKafka('a worker that is killed on real Kafka', () => {
  it('leaves every record to the next one, which repeats at most what was not committed', async () => {
    const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
    const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
    try {
      const topic = await clients.topic(PARTITIONS);
      const groupId = uniqueName('killed');
      for (let partition = 0; partition < PARTITIONS; partition++) {
        await clients.sendNumbers(topic, partition, RECORDS_PER_PARTITION);
      }
      const first = startWorker(topic, groupId);
      await first.until(() => first.handled.length >= KILLED_AFTER);
      first.child.kill('SIGKILL');
      expect((await first.exited).signal).toBe('SIGKILL');

      const observer = await clients.consumer({ groupId, groupProtocol: 'classic' });
      const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }));
      const committed = new Map(
        (await observer.committed(partitions)).map(({ partition, offset }) => [partition, offset ?? 0]),
      );
      const isCommitted = (name: string): boolean => {
        const [partition, offset] = name.split(':').map(Number);
        return (offset ?? 0) < (committed.get(partition ?? 0) ?? 0);
      };
      const uncommitted = first.handled.filter((name) => !isCommitted(name));
      // Nothing is committed that was not handled, and something was.
      const committedRecords = [...committed.values()].reduce((sum, offset) => sum + offset, 0);
      expect(committedRecords).toBe(first.handled.length - uncommitted.length);
      expect(committedRecords).toBeGreaterThan(0);

      const total = PARTITIONS * RECORDS_PER_PARTITION;
      const second = startWorker(topic, groupId);
      await second.until(() => second.handled.length >= total - committedRecords);
      second.child.kill('SIGTERM');
      expect(await second.exited).toEqual({ code: 0, signal: null });
      expect(new Set([...first.handled, ...second.handled]).size).toBe(total);
      const repeated = second.handled.filter((name) => first.handled.includes(name));
      expect([...repeated].sort()).toEqual([...uncommitted].sort());
      const ends = (await observer.committed(partitions)).map(({ offset }) => offset);
      expect(ends).toEqual(partitions.map(() => RECORDS_PER_PARTITION));
    } finally {
      await clients.close();
    }
  });
});
