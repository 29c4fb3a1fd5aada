import type { ConcurrencyStrategy } from '@kafka-worker/core';
import { perKey, perPartition, serial } from '@kafka-worker/strategies';
import type { BenchRow } from '../bench.ts';
import { type FilledTopic, withTopic, zipfKeys } from '../filled-topic.ts';
import type { Part } from '../part.ts';
import { median, rounded } from '../statistics.ts';
import { readByWorker } from '../worker-loop.ts';
import { elsewhere } from './peers.ts';

const ROUNDS = 3;
const table = 'a handler that does nothing';

type Reader = 'direct' | 'librdkafka';

const readers: readonly Reader[] = ['direct', 'librdkafka'];

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
  const ways = readers.flatMap((reader) => strategies.map((strategy) => ({ ...strategy, reader })));
  const runs = new Map(ways.map((way) => [nameOf(way), [] as Run[]]));
  await withTopic(brokers, workload, async () => {
    // The first round warms the broker and the compiler up and does not count.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const way of ways) {
        const { topic } = workload;
        const handler = (done: () => void) => () => done();
        const cpuBefore = process.cpuUsage();
        const { reader, make } = way;
        const seconds = await readByWorker({ brokers, topic, until: records, reader, concurrency: make(), handler });
        const { user, system } = process.cpuUsage(cpuBefore);
        if (round > 0)
          runs.get(nameOf(way))?.push({ rate: records / seconds, cpuMicroseconds: (user + system) / records });
        const label = round === 0 ? 'warm-up' : `round ${round}`;
        say(`${table}, ${label}: ${nameOf(way)}: ${Math.round(records / seconds)} records/s`);
      }
    }
  });
  const medianOf = (way: Way, of: (run: Run) => number): number => median((runs.get(nameOf(way)) ?? []).map(of));
  const rate = (way: Way): number => medianOf(way, (run) => run.rate);
  const toSerial = (way: Way): number => rounded(rate(way) / rate({ ...way, name: 'serial' }), 3);
  return {
    rows: ways.map((way) => ({
      table,
      name: nameOf(way),
      recordsPerSecond: Math.round(rate(way)),
      toSerial: toSerial(way),
      cpuMicrosecondsPerRecord: rounded(
        medianOf(way, (run) => run.cpuMicroseconds),
        1,
      ),
      ...peers[way.name],
    })),
    ratios: Object.fromEntries(
      ways.filter(({ name }) => name !== 'serial').map((way) => [`${nameOf(way)}: to serial`, toSerial(way)]),
    ),
  };
};

interface Way {
  readonly name: string;
  readonly reader: Reader;
}

interface Run {
  readonly rate: number;
  readonly cpuMicroseconds: number;
}

function nameOf({ name, reader }: Way): string {
  return `${name}, reader ${reader}`;
}
