// A process that runs a worker until it is signalled, for tests of how it ends. Argument: what its handler does. Writes what happens, a line each.
import { writeSync } from 'node:fs';
import { confluentKafka } from '../confluent/index.ts';
import { runUntilSignal } from '../run-until-signal.ts';
import { Worker } from '../worker.ts';
import { embeddedKafka } from './embedded-kafka.ts';

const say = (line: string): void => void writeSync(1, `${line}\n`);
const handlers: Readonly<Record<string, (signal: AbortSignal) => unknown>> = {
  quick: () => undefined,
  fail: () => Promise.reject(new Error('the handler failed')),
  slow: () => new Promise((resolve) => setTimeout(resolve, 1_000)),
  stuck: () => new Promise(() => {}),
};

const [scenario = 'quick'] = process.argv.slice(2);
const kafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
await kafka.send([{ topic: 't', value: 'a' }]);
const cluster = scenario === 'unreachable' ? confluentKafka({ brokers: ['127.0.0.1:1'] }) : kafka;

await runUntilSignal(
  new Worker({
    ...{ kafka: cluster, groupId: 'g', topics: 't', connectTimeoutMs: 500 },
    onFailure: { kind: 'failure', name: 'stop', decide: () => ({ do: 'stop' }) },
    handler: (_record, { signal }) => {
      say('handling');
      return handlers[scenario]?.(signal);
    },
  }),
  {
    timeoutMs: scenario === 'lingering' ? 100 : 3_000,
    onShutdown: async () => {
      say(`committed ${(await kafka.committed('g', 't')).get(0)}`);
      await kafka[Symbol.asyncDispose]();
    },
  },
);
say('returned');
// As a native handle that nobody closes would.
if (scenario === 'lingering') setInterval(() => {}, 1_000);
