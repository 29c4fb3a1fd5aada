// A worker of the chaos run, in a process of its own. Argument: a ChaosWorkerOptions as JSON. Joins when it is sent anything, writes its trace as it
// goes, and ends when its starter does.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { runUntilSignal, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { perKey, perPartition } from '@kafka-worker/strategies';
import { TraceWriter } from './trace.ts';

/** What a chaos worker is told. */
export interface ChaosWorkerOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly groupId: string;
  readonly name: string;
  readonly protocol: 'classic' | 'consumer';
  /** Who fetches its records. */
  readonly reader: 'direct' | 'librdkafka';
  readonly strategy: 'perPartition' | 'perKey';
  /** Of a partition's records every so manyth makes its handler wait a little. */
  readonly waitEvery: number;
  readonly trace: string;
}

/** What a worker that dies costs, and how soon the others learn that somebody has come: every 3 s by default, here as under the other protocol. */
const classic = { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 500 };
/** Handlers that wait do so for up to that, each a little different. */
const HANDLER_MS = 4;

const options = JSON.parse(process.argv[2] ?? '') as ChaosWorkerOptions;
const trace = new TraceWriter(options.trace);
const numbersOf = (list: readonly { readonly partition: number }[]): number[] => list.map(({ partition }) => partition);

// Whoever started this holds the other end, and holds it no more once it is gone.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL'));

const worker = new Worker({
  kafka: confluentKafka({
    brokers: options.brokers.split(','),
    reader: options.reader,
    librdkafka: options.protocol === 'classic' ? classic : {},
  }),
  ...{ groupId: options.groupId, topics: options.topic, name: options.name, groupProtocol: options.protocol },
  concurrency: options.strategy === 'perKey' ? perKey({ concurrency: 50 }) : perPartition(),
  connectTimeoutMs: 60_000,
  handler: async ({ partition, offset, key, value }) => {
    const sequence = Number.parseInt(String(value), 10);
    trace.write({ what: 'call', partition, offset, key: String(key), sequence });
    if (offset % options.waitEvery === 0) await sleep((offset / options.waitEvery) % HANDLER_MS);
    trace.write({ what: 'return', partition, offset });
  },
});
worker.on('assigned', ({ partitions }) => trace.write({ what: 'assigned', partitions: numbersOf(partitions) }));
worker.on('revoked', ({ partitions, lost }) =>
  trace.write({ what: 'revoked', partitions: numbersOf(partitions), lost }),
);
worker.on('committed', ({ offsets }) =>
  trace.write({ what: 'commit', next: Object.fromEntries(offsets.map((one) => [one.partition, one.offset])) }),
);
worker.on('commit-failed', ({ offsets, error }) =>
  trace.write({ what: 'commit-failed', partitions: numbersOf(offsets), error: error.message }),
);
worker.on('state', ({ to }) => {
  // To the log: where one is that never gets anything.
  console.log(new Date().toISOString(), to);
  if (to === 'draining') trace.write({ what: 'stopping' });
});
worker.finished.then(
  ({ error }) => trace.write({ what: 'stopped', error: error?.message }),
  (error: unknown) => trace.write({ what: 'stopped', error: String(error) }),
);

await once(process.stdin, 'data');
process.stdin.unref();
await runUntilSignal(worker);
