import type { Bench, BenchRow } from './bench.ts';
import { type FilledTopic, withTopic, zipfKeys } from './filled-topic.ts';
import { watchLoopStall } from './loop-stall.ts';
import { readRaw } from './raw-loop.ts';
import { median, rounded } from './statistics.ts';
import { withBroker } from './with-broker.ts';
import { readByWorker } from './worker-loop.ts';

const ROUNDS = 3;
const workload: FilledTopic = {
  topic: `throughput-${process.pid}`,
  ...{ partitions: 8, records: 1_000_000, valueBytes: 100, keyOf: zipfKeys(1_000) },
};

interface Measurement {
  readonly seconds: number;
  readonly stallMs: number;
}

const contestants: readonly { readonly name: string; readonly read: (brokers: string) => Promise<number> }[] = [
  { name: 'raw client loop', read: (brokers) => readRaw(brokers, workload.topic, workload.records) },
  { name: 'worker, returns nothing', read: (brokers) => readByHandler(brokers, (done) => () => done()) },
  { name: 'worker, async', read: (brokers) => readByHandler(brokers, (done) => async () => done()) },
  {
    name: 'direct worker, returns nothing',
    read: (brokers) => readByHandler(brokers, (done) => () => done(), 'direct'),
  },
  { name: 'direct worker, async', read: (brokers) => readByHandler(brokers, (done) => async () => done(), 'direct') },
];

export const throughputBench: Bench = {
  name: 'throughput',
  question: `How fast are ${workload.records} records of ${workload.valueBytes} bytes read from a real broker, by either reader, beside a bare loop on the native client?`,
  run: (say) => withBroker(say, (brokers) => withTopic(brokers, workload, () => compare(brokers, say))),
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
  const ratios = {
    ...{ syncToRaw: toRaw('worker, returns nothing'), asyncToRaw: toRaw('worker, async') },
    directSyncToRaw: toRaw('direct worker, returns nothing'),
    directAsyncToRaw: toRaw('direct worker, async'),
  };
  return { rows, ratios };
}

function readByHandler(
  brokers: string,
  handler: (done: () => void) => () => unknown,
  reader: 'direct' | 'librdkafka' = 'librdkafka',
): Promise<number> {
  return readByWorker({ brokers, topic: workload.topic, until: workload.records, handler, reader });
}
