import type { Bench } from './bench.ts';
import { runParts } from './part.ts';
import { loading } from './throughput/loading.ts';
import { whatIsRead } from './throughput/what-is-read.ts';
import { whoReads } from './throughput/who-reads.ts';
import { withBroker } from './with-broker.ts';

export const throughputBench: Bench = {
  name: 'throughput',
  question:
    'How fast does either reader read from a real broker, beside a bare loop on the native client, kafkajs, and the Java consumer?',
  run: (say, isQuick) =>
    withBroker(say, (brokers) => runParts([loading, whoReads, whatIsRead], { brokers, say, isQuick })),
};
