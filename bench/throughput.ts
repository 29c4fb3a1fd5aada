import { Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { startPrivateKafka } from '../scripts/private-kafka.ts';
import type { Bench, BenchRow } from './bench.ts';
import { watchLoopStall } from './loop-stall.ts';
import { readRaw } from './raw-loop.ts';
import { median, rounded } from './statistics.ts';
import { fillZipfTopic, type ZipfTopic } from './zipf-topic.ts';

const ROUNDS = 3;
const workload: ZipfTopic = {
  topic: `throughput-${process.pid}`,
  ...{ partitions: 8, records: 1_000_000, keys: 1_000, valueBytes: 100 },
};

interface Measurement {
  readonly seconds: number;
  readonly stallMs: number;
}

const contestants: readonly { readonly name: string; readonly read: (brokers: string) => Promise<number> }[] = [
  { name: 'raw client loop', read: (brokers) => readRaw(brokers, workload.topic, workload.records) },
  { name: 'worker, returns nothing', read: (brokers) => readByWorker(brokers, () => undefined) },
  { name: 'worker, async', read: (brokers) => readByWorker(brokers, async () => {}) },
];

export const throughputBench: Bench = {
  name: 'throughput',
  question: `How fast are ${workload.records} records of ${workload.valueBytes} bytes read from a real broker, beside a bare loop on the same client?`,
  async run(say) {
    const given = process.env.KAFKA_BROKERS;
    const kafka = given === undefined ? await startPrivateKafka(say) : undefined;
    const brokers = given ?? kafka?.cluster.bootstrap ?? '';
    try {
      await fillZipfTopic(brokers, workload);
      return await compare(brokers, say);
    } finally {
      await kafka?.stop();
    }
  },
};

async function compare(brokers: string, say: (line: string) => void) {
  const measured = new Map<string, Measurement[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const { name, read } of contestants) {
      const stallMs = watchLoopStall();
      const measurement = { seconds: await read(brokers), stallMs: stallMs() };
      measured.get(name)?.push(measurement);
      const rate = Math.round(workload.records / measurement.seconds);
      say(`round ${round}: ${name}: ${rate} records/s, longest stall ${Math.round(measurement.stallMs)} ms`);
    }
  }
  const rows: BenchRow[] = [...measured].map(([name, all]) => ({
    name,
    recordsPerSecond: Math.round(workload.records / median(all.map(({ seconds }) => seconds))),
    longestStallMs: rounded(Math.max(...all.map(({ stallMs }) => stallMs)), 1),
  }));
  const rate = (name: string): number => Number(rows.find((row) => row.name === name)?.recordsPerSecond);
  const toRaw = (name: string): number => rounded(rate(name) / rate('raw client loop'), 3);
  return { rows, ratios: { syncToRaw: toRaw('worker, returns nothing'), asyncToRaw: toRaw('worker, async') } };
}

async function readByWorker(brokers: string, handler: () => unknown): Promise<number> {
  let handled = 0;
  let startedAt = 0;
  let finish = (_error?: unknown): void => {};
  const all = new Promise<unknown>((resolve) => {
    finish = resolve;
  });
  const worker = new Worker({
    kafka: confluentKafka({ brokers: brokers.split(',') }),
    groupId: `worker-${workload.topic}-${process.hrtime.bigint()}`,
    topics: workload.topic,
    handler: () => {
      if (handled === 0) startedAt = performance.now();
      if (++handled === workload.records) finish();
      return handler();
    },
  });
  await worker.start();
  worker.finished.catch(finish);
  const error = await all;
  const seconds = (performance.now() - startedAt) / 1_000;
  const summary = await worker.stop({ mode: 'drain' });
  if (error !== undefined || summary.handled !== workload.records)
    throw new Error('the worker did not read everything', { cause: error });
  return seconds;
}
