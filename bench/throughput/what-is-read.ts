import { type FilledTopic, withTopic, zipfKeys } from '../filled-topic.ts';
import type { Part } from '../part.ts';
import { settle } from '../strategies/ideal.ts';
import type { Contestant, Touch } from './contestant.ts';
import { ReadingProcesses } from './reading-processes.ts';
import { Rounds } from './rounds.ts';

const ROUNDS = 3;
const table = 'other records';

interface Shape extends Partial<Pick<FilledTopic, 'valueBytes' | 'headers' | 'codec'>> {
  readonly name: string;
  readonly touch?: Touch;
}

const shapes: readonly Shape[] = [
  { name: 'values of 1 KB', valueBytes: 1_000 },
  { name: '5 headers, read', headers: 5, touch: 'reads headers' },
  { name: 'gzip', codec: 'gzip' },
  { name: 'snappy', codec: 'snappy' },
  { name: 'lz4', codec: 'lz4' },
  { name: 'zstd', codec: 'zstd' },
];

/** How fast do both readers read larger records, headers, and what is compressed? With `serial()`, key and value read. */
export const whatIsRead: Part = async ({ brokers, say, isQuick }) => {
  const records = isQuick ? 20_000 : 400_000;
  const rounds = new Rounds(records);
  for (const { name, touch = 'reads', ...shape } of shapes) {
    const topic = `throughput-${name.replaceAll(/\W+/g, '-')}-${process.pid}`;
    const filled = { topic, partitions: 8, records, valueBytes: 100, keyOf: zipfKeys(1_000), ...shape };
    const read = async (processes: ReadingProcesses): Promise<void> => {
      for (let round = 1; round <= (isQuick ? 1 : ROUNDS); round++) {
        for (const contestant of readersOf(name, touch)) {
          await settle();
          const reading = await processes.read(contestant, { brokers, topic, records });
          rounds.add(contestant.name, reading);
          say(`${contestant.name}, round ${round}: ${Math.round(records / reading.seconds)} records/s`);
        }
      }
    };
    await withTopic(brokers, filled, () => ReadingProcesses.with(read));
  }
  const names = shapes.map(({ name, touch = 'reads' }) => readersOf(name, touch).map((one) => one.name));
  return {
    rows: names.flat().map((name) => rounds.row(table, name)),
    ratios: Object.fromEntries(
      names.map(([librdkafka = '', direct = '']) => [`${direct}, to librdkafka`, rounds.ratio(direct, librdkafka)]),
    ),
  };
};

function readersOf(shape: string, touch: Touch): readonly Contestant[] {
  const clients = ['librdkafka', 'direct'] as const;
  return clients.map((client) => ({ name: `${shape}: ${client}`, client, touch }));
}
