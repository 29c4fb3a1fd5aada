// A process in which a worker fails and nobody watches that. Arguments: 'worker' or 'group', and 'signal' to start it with one. Says when it has failed, and
// how many listeners are left on the signal.
import { Worker } from '../worker.ts';
import { WorkerGroup } from '../worker-group.ts';
import { fakeKafka } from './fake-kafka.ts';
import { always } from './stage.ts';

const [what, hasSignal] = process.argv.slice(2);
const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
kafka.send([{ topic: 't', value: 'a' }]);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const worker = new Worker({
  ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, onFailure: always({ do: 'stop' }) },
  handler: () =>
    new Promise<void>((_resolve, reject) => void kafka.clock.setTimeout(() => reject(new Error('no good')), 1_000)),
});
const target = what === 'group' ? new WorkerGroup([worker]) : worker;
const { signal } = new AbortController();
const listening = new Set<unknown>();
signal.addEventListener = (_type: string, listener: unknown) => void listening.add(listener);
signal.removeEventListener = (_type: string, listener: unknown) => void listening.delete(listener);
const starting = target.start(hasSignal === 'signal' ? { signal } : {});
await kafka.clock.advance(500);
await starting;
console.log(`${target.state}, ${listening.size > 0 ? 'listening' : 'not listening'}`);
process.once('uncaughtExceptionMonitor', () => console.log(`${target.state}, ${listening.size} listen`));
await kafka.clock.advance(60_000);
