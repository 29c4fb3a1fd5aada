import { withTopic, zipfKeys } from '../filled-topic.ts';
import type { Part } from '../part.ts';
import { rounded } from '../statistics.ts';
import { settle } from '../strategies/ideal.ts';
import type { Contestant } from './contestant.ts';
import { readByJava, whyNoJava } from './java-consumer.ts';
import { ReadingProcesses } from './reading-processes.ts';
import { Rounds } from './rounds.ts';

const ROUNDS = 7;
const table = '100 bytes';

const raw: Contestant = { name: 'raw client loop', client: 'raw' };
const librdkafka: Contestant = { name: 'librdkafka, serial', client: 'librdkafka' };
const librdkafkaAsync: Contestant = { name: 'librdkafka, serial, async', client: 'librdkafka', touch: 'reads async' };
const direct: Contestant = { name: 'direct, serial', client: 'direct' };
const directAsync: Contestant = { name: 'direct, serial, async', client: 'direct', touch: 'reads async' };
const directNothing: Contestant = { name: 'direct, serial, nothing read', client: 'direct', touch: 'nothing' };
const directPerKey: Contestant = { name: 'direct, perKey', client: 'direct', concurrency: 'perKey' };
const directPerKeyNothing: Contestant = {
  ...{ name: 'direct, perKey, nothing read', client: 'direct', concurrency: 'perKey', touch: 'nothing' },
};
const kafkajs: Contestant = { name: 'kafkajs eachBatch', client: 'kafkajs' };
const all: readonly Contestant[] = [
  ...[raw, librdkafka, librdkafkaAsync, direct, directAsync, directNothing, directPerKey, directPerKeyNothing, kafkajs],
];
const java = "Kafka's Java consumer";

/** Who reads the same topic how fast? */
export const whoReads: Part = async ({ brokers, say, isQuick }) => {
  const records = isQuick ? 50_000 : 1_000_000;
  const topic = `throughput-${process.pid}`;
  const order = { brokers, topic, records };
  const rounds = new Rounds(records);
  const noJava = whyNoJava();
  if (noJava !== undefined) say(`no row for ${java}: ${noJava}`);
  const add = (round: number, name: string, reading: Parameters<Rounds['add']>[1]): void => {
    rounds.add(name, reading);
    say(`${table}, round ${round}: ${name}: ${Math.round(records / reading.seconds)} records/s`);
  };
  const filled = { topic, partitions: 8, records, valueBytes: 100, keyOf: zipfKeys(1_000) };
  const read = async (processes: ReadingProcesses): Promise<void> => {
    for (let round = 1; round <= (isQuick ? 1 : ROUNDS); round++) {
      for (const contestant of all) {
        await settle();
        add(round, contestant.name, await processes.read(contestant, order));
      }
      if (noJava === undefined) add(round, java, { seconds: await readByJava(order) });
    }
  };
  await withTopic(brokers, filled, () => ReadingProcesses.with(read));
  const toRaw = ({ name }: Contestant): number => rounds.ratio(name, raw.name);
  const toOthers = (who: string, { name }: Contestant): Record<string, number> => ({
    [`${who}ToRaw`]: rounds.ratio(name, raw.name),
    [`${who}ToKafkajs`]: rounds.ratio(name, kafkajs.name),
    ...(noJava === undefined ? { [`${who}ToJava`]: rounds.ratio(name, java) } : {}),
  });
  return {
    rows: [...all.map(({ name }) => name), ...(noJava === undefined ? [java] : [])].map((name) =>
      rounds.row(table, name),
    ),
    ratios: {
      ...{ librdkafkaToRaw: toRaw(librdkafka), librdkafkaAsyncToRaw: toRaw(librdkafkaAsync) },
      ...toOthers('directNothingRead', directNothing),
      ...toOthers('direct', direct),
      ...{ directAsyncToRaw: toRaw(directAsync), directPerKeyToRaw: toRaw(directPerKey) },
      directPerKeyNothingReadToRaw: toRaw(directPerKeyNothing),
      directPeakMiBOverLibrdkafka: rounded(rounds.peakMiB(direct.name) - rounds.peakMiB(librdkafka.name), 1),
    },
  };
};
