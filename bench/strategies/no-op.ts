import type { ConcurrencyStrategy } from '@kafka-worker/core';
import { perKey, perPartition, serial } from '@kafka-worker/strategies';
import type { BenchRow } from '../bench.ts';
import { type FilledTopic, withTopic, zipfKeys } from '../filled-topic.ts';
import { median, rounded } from '../statistics.ts';
import { readByWorker } from '../worker-loop.ts';
import type { Part } from './part.ts';
import { elsewhere } from './peers.ts';

const ROUNDS = 3;
const table = 'a handler that does nothing';

const strategies: readonly { readonly name: string; readonly make: () => ConcurrencyStrategy }[] = [
  { name: 'serial', make: serial },
  { name: 'perPartition', make: perPartition },
  { name: 'perKey', make: perKey },
];

const peers: Readonly<Record<string, Pick<BenchRow, string>>> = {
  serial: { kafkaGoWorkerElsewhere: elsewhere.kafkaGoWorkerNoOp.serial },
  perKey: {
    kafkaGoWorkerElsewhere: elsewhere.kafkaGoWorkerNoOp.perKey,
    parallelConsumerElsewhere: elsewhere.parallelConsumerNoOp.perKey,
  },
};

/** What does it cost to sort records into lanes, on the way from a real broker? Interleaved rounds, medians. */
export const noOp: Part = async ({ brokers, say, isQuick }) => {
  const records = isQuick ? 50_000 : 1_000_000;
  const workload: FilledTopic = {
    topic: `strategies-noop-${process.pid}`,
    ...{ partitions: 8, records, valueBytes: 100, keyOf: zipfKeys(1_000) },
  };
  const rates = new Map<string, number[]>(strategies.map(({ name }) => [name, []]));
  const cpuMicroseconds = new Map<string, number[]>(strategies.map(({ name }) => [name, []]));
  await withTopic(brokers, workload, async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const { name, make } of strategies) {
        const { topic } = workload;
        const handler = (done: () => void) => () => done();
        const cpuBefore = process.cpuUsage();
        const seconds = await readByWorker({ brokers, topic, until: records, concurrency: make(), handler });
        const { user, system } = process.cpuUsage(cpuBefore);
        rates.get(name)?.push(records / seconds);
        cpuMicroseconds.get(name)?.push((user + system) / records);
        say(`${table}, round ${round}: ${name}: ${Math.round(records / seconds)} records/s`);
      }
    }
  });
  const rate = (name: string): number => median(rates.get(name) ?? []);
  const toSerial = (name: string): number => rounded(rate(name) / rate('serial'), 3);
  return {
    rows: strategies.map(({ name }) => ({
      table,
      name,
      recordsPerSecond: Math.round(rate(name)),
      toSerial: toSerial(name),
      cpuMicrosecondsPerRecord: rounded(median(cpuMicroseconds.get(name) ?? []), 1),
      ...peers[name],
    })),
    ratios: { perPartitionToSerial: toSerial('perPartition'), perKeyToSerial: toSerial('perKey') },
  };
};
