import type { Bench } from './bench.ts';
import { runParts } from './part.ts';
import { headOfLine } from './strategies/head-of-line.ts';
import { noOp } from './strategies/no-op.ts';
import { onePartition } from './strategies/one-partition.ts';
import { waits } from './strategies/waits.ts';
import { withBroker } from './with-broker.ts';

export const strategiesBench: Bench = {
  name: 'strategies',
  question: 'What do the strategies cost, and how near do they come to their ideal? From a real broker.',
  run: (say, isQuick) =>
    withBroker(say, (brokers) => runParts([noOp, waits, onePartition, headOfLine], { brokers, say, isQuick })),
};
