// npm run kafka -- start [--brokers 1|3] [--secure] | stop | status, each [--directory DIR]; start also [--free-ports]
// npm run kafka -- tool NAME ARGUMENTS…

import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { readCommandLine, UsageError } from './command-line.ts';
import { interruption } from './interruption.ts';
import { runningKafka, startKafka, stopKafka } from './kafka-cluster.ts';
import { kafkaToolCommand, kafkaVersion } from './kafka-jars.ts';
import { defaultPorts, freePorts } from './kafka-ports.ts';

const usage = `npm run kafka -- start [--brokers 1|3] [--secure] [--free-ports] | stop | status | tool NAME ARGUMENTS…
       start, stop and status take [--directory DIR], which is .kafka otherwise`;
const where = { directory: { type: 'string', default: join(import.meta.dirname, '..', '.kafka') } } as const;

const [command = '', ...rest] = process.argv.slice(2);
const commands = new Map<string, () => Promise<void> | void>([
  ['start', start],
  ['stop', stop],
  ['status', () => status(givenDirectory())],
  ['tool', tool],
]);

try {
  const run = commands.get(command);
  if (run === undefined) throw new UsageError(`usage: ${usage}`);
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function start(): Promise<void> {
  const options = {
    brokers: { type: 'string', default: '1' },
    secure: { type: 'boolean', default: false },
    'free-ports': { type: 'boolean', default: false },
    ...where,
  } as const;
  const { values } = readCommandLine({ usage, options }, rest);
  if (values.brokers !== '1' && values.brokers !== '3') {
    throw new UsageError(`--brokers is 1 or 3, not ${JSON.stringify(values.brokers)}`);
  }
  const started = performance.now();
  const brokers = values.brokers === '1' ? 1 : 3;
  const directory = resolve(values.directory);
  const ports = values['free-ports'] ? await freePorts(brokers) : defaultPorts(brokers);
  const shape = { brokers, secure: values.secure, ports, measured: true } as const;
  await startKafka({ directory, ...shape, say: console.log, signal: interruption() });
  status(directory);
  console.log(`ready after ${((performance.now() - started) / 1_000).toFixed(1)} s`);
}

async function stop(): Promise<void> {
  const stopped = await stopKafka(givenDirectory(), console.log);
  console.log(stopped === 0 ? 'no broker was running' : `stopped ${stopped} broker${stopped === 1 ? '' : 's'}`);
}

function status(directory: string): void {
  const cluster = runningKafka(directory);
  if (cluster === undefined) {
    console.log('not running');
    process.exitCode = command === 'status' ? 3 : 1;
    return;
  }
  const pids = cluster.brokers.map(({ pid }) => pid).join(', ');
  console.log(`Apache Kafka ${kafkaVersion} is running on ${cluster.bootstrap} (pid ${pids})`);
  if (cluster.secure !== undefined) console.log(`secure listeners, certificates and users: ${cluster.secure}`);
}

/** Its arguments are the tool's own. */
function tool(): void {
  const [name, ...args] = rest;
  if (name === undefined || name.startsWith('-')) throw new UsageError(`usage: ${usage}`);
  process.exitCode = spawnSync('java', kafkaToolCommand(name, args), { stdio: 'inherit' }).status ?? 1;
}

function givenDirectory(): string {
  return resolve(readCommandLine({ usage, options: where }, rest).values.directory);
}
