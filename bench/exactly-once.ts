import { atLeastOnce, exactlyOnce, parallel, perPartition, serial } from '@kafka-worker/strategies';
import type { Bench, BenchRow } from './bench.ts';
import { type CopyRun, copyTopic } from './copy-run.ts';
import { type FilledTopic, uniformKeys, withTopic } from './filled-topic.ts';
import { median, rounded } from './statistics.ts';
import { withBroker } from './with-broker.ts';

const ROUNDS = 5;
const RECORDS = 200_000;
/** One at a time takes long: a sample of them does. */
const FEW = 400;

interface Way extends Pick<CopyRun, 'delivery' | 'concurrency' | 'isOneByOne' | 'reader'> {
  readonly name: string;
  readonly isSlow: boolean;
}

const withoutTransactions = atLeastOnce();
const inTransactions = exactlyOnce({ transactionalIdPrefix: 'bench' });
const anyOrder = parallel({ concurrency: 'unlimited' });
const acknowledged = 'atLeastOnce, parallel';
const transactions = 'exactlyOnce, parallel';
const acknowledgedDirect = 'atLeastOnce, parallel, reader direct';
const transactionsDirect = 'exactlyOnce, parallel, reader direct';
const oneByOne = 'exactlyOnce, a transaction for each record';
const quick = { isOneByOne: false, isSlow: false };
const ways: readonly Way[] = [
  { name: acknowledged, delivery: withoutTransactions, concurrency: anyOrder, ...quick },
  { name: transactions, delivery: inTransactions, concurrency: anyOrder, ...quick },
  { name: acknowledgedDirect, delivery: withoutTransactions, concurrency: anyOrder, reader: 'direct', ...quick },
  { name: transactionsDirect, delivery: inTransactions, concurrency: anyOrder, reader: 'direct', ...quick },
  { name: 'exactlyOnce, perPartition', delivery: inTransactions, concurrency: perPartition(), ...quick },
  {
    name: 'atLeastOnce, perPartition',
    ...{ delivery: withoutTransactions, concurrency: perPartition(), isOneByOne: false, isSlow: true },
  },
  { name: oneByOne, delivery: inTransactions, concurrency: serial(), isOneByOne: true, isSlow: true },
];

export const exactlyOnceBench: Bench = {
  name: 'exactly-once',
  question:
    'How fast are records of 100 bytes consumed and produced again in transactions, beside acknowledged produces without?',
  run: (say, isQuick) => withBroker(say, (brokers) => compare(brokers, say, isQuick)),
};

async function compare(brokers: string, say: (line: string) => void, isQuick: boolean) {
  const shape = { partitions: 8, valueBytes: 100 };
  const of = (name: string, records: number): FilledTopic => ({
    ...{ topic: `exactly-once-${name}-${process.pid}`, records, keyOf: uniformKeys(1_000), ...shape },
  });
  const many = of('many', isQuick ? 5_000 : RECORDS);
  const few = of('few', isQuick ? 50 : FEW);
  const rounds = isQuick ? 1 : ROUNDS;
  const output = of('output', 0);
  const rates = new Map<string, number[]>(ways.map(({ name }) => [name, []]));
  const sizes = new Map<string, number>();

  const runAll = async (): Promise<void> => {
    for (let round = 1; round <= rounds; round++) {
      for (const way of ways) {
        const { name, isSlow } = way;
        const input = isSlow ? few : many;
        const { seconds, commits } = await copyTopic({ brokers, input, output: output.topic, ...way });
        const rate = input.records / seconds;
        rates.get(name)?.push(rate);
        sizes.set(name, input.records / commits);
        say(
          `round ${round}: ${name}: ${Math.round(rate)} records/s, ${Math.round(input.records / commits)} per commit`,
        );
      }
    }
  };
  await withTopic(brokers, many, () => withTopic(brokers, few, () => withTopic(brokers, output, runAll)));

  const rows: BenchRow[] = [...rates].map(([name, all]) => ({
    name,
    recordsPerSecond: Math.round(median(all)),
    recordsPerCommit: Math.round(sizes.get(name) ?? Number.NaN),
  }));
  // Of each round, in which one follows the other at once: what else the machine does weighs on both.
  const ratio = (of: string, to: string): number => {
    const base = rates.get(to) ?? [];
    return rounded(median((rates.get(of) ?? []).map((rate, i) => rate / (base[i] ?? Number.NaN))));
  };
  return {
    rows,
    ratios: {
      toAtLeastOnce: ratio(transactions, acknowledged),
      toOnePerTransaction: ratio(transactions, oneByOne),
      directToAtLeastOnce: ratio(transactionsDirect, acknowledgedDirect),
      directToOnePerTransaction: ratio(transactionsDirect, oneByOne),
    },
  };
}
