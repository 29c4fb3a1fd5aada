// A process that runs a worker until it is signalled, for tests of how it ends. Argument: what its handler does. Writes what happens, a line each.
import { writeSync } from 'node:fs';
import { confluentKafka } from '../confluent/index.ts';
import { runUntilSignal } from '../run-until-signal.ts';
import { Worker } from '../worker.ts';
import { WorkerGroup } from '../worker-group.ts';
import { embeddedKafka } from './embedded-kafka.ts';

const say = (line: string): void => void writeSync(1, `${line}\n`);
const handlers: Readonly<Record<string, (signal: AbortSignal) => unknown>> = {
  quick: () => undefined,
  fail: () => Promise.reject(new Error('the handler failed')),
  slow: () => new Promise((resolve) => setTimeout(resolve, 1_000)),
  'late failure': () =>
    new Promise((_resolve, reject) => setTimeout(() => reject(new Error('the handler failed')), 300)),
  stuck: () => new Promise(() => {}),
};

const [scenario = 'quick'] = process.argv.slice(2);
const kafka = await embeddedKafka({ topics: { t: { partitions: 1 }, u: { partitions: 1 } } });
await kafka.send([
  { topic: 't', value: 'a' },
  { topic: 'u', value: 'a' },
]);
const cluster = scenario === 'unreachable' ? confluentKafka({ brokers: ['127.0.0.1:1'] }) : kafka;

const workerOf = (topics: string, does: string): Worker =>
  new Worker({
    ...{ kafka: cluster, groupId: `g-${topics}`, topics, connectTimeoutMs: 500 },
    ...(scenario === 'ignores' ? { handlerTimeoutMs: 200, stuckAfterMs: 200 } : {}),
    onFailure: { kind: 'failure', name: 'stop', decide: () => ({ do: 'stop' }) },
    handler: async (_record, { signal }) => {
      say('handling');
      await handlers[does]?.(signal);
      say('handled');
    },
  });
const target =
  scenario === 'group'
    ? new WorkerGroup([workerOf('t', 'late failure'), workerOf('u', 'slow')])
    : workerOf('t', scenario === 'ignores' ? 'stuck' : scenario);

await runUntilSignal(target, {
  timeoutMs: scenario === 'lingering' ? 100 : 3_000,
  onShutdown: async () => {
    say(`committed ${(await kafka.committed('g-t', 't')).get(0)}`);
    if (scenario === 'group') say(`committed ${(await kafka.committed('g-u', 'u')).get(0)}`);
    // Its client must not go underneath the handler that is still there.
    if (scenario !== 'ignores') await kafka[Symbol.asyncDispose]();
  },
});
say('returned');
// As a native handle that nobody closes would.
if (scenario === 'lingering') setInterval(() => {}, 1_000);
