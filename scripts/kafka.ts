// npm run kafka -- start [--brokers 1|3] [--secure] | stop | status | tool NAME ARGUMENTS…

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runningKafka, startKafka, stopKafka } from './kafka-broker.ts';
import { kafkaToolCommand, kafkaVersion } from './kafka-jars.ts';
import type { BrokerPorts } from './kafka-properties.ts';

const directory = join(import.meta.dirname, '..', '.kafka');
const usage = 'npm run kafka -- start [--brokers 1|3] [--secure] | stop | status | tool NAME ARGUMENTS…';

const [command, ...rest] = process.argv.slice(2);
const commands: Record<string, () => Promise<void> | void> = { start, stop, status, tool };

try {
  const run = commands[command ?? ''];
  if (run === undefined) throw new Error(`usage: ${usage}`);
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function start(): Promise<void> {
  const { values } = parseArgs({
    args: rest,
    options: { brokers: { type: 'string', default: '1' }, secure: { type: 'boolean', default: false } },
  });
  if (values.brokers !== '1' && values.brokers !== '3') throw new Error(`--brokers is 1 or 3, not ${values.brokers}`);
  const brokers = values.brokers === '1' ? 1 : 3;
  const started = performance.now();
  const ports = Array.from({ length: brokers }, (_, index) => defaultPorts(index));
  await startKafka({ directory, brokers, secure: values.secure, ports, say: console.log });
  status();
  console.log(`ready after ${((performance.now() - started) / 1_000).toFixed(1)} s`);
}

async function stop(): Promise<void> {
  const stopped = await stopKafka(directory);
  console.log(stopped === 0 ? 'no broker was running' : `stopped ${stopped} broker${stopped === 1 ? '' : 's'}`);
}

function status(): void {
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

function tool(): void {
  const [name, ...args] = rest;
  if (name === undefined) throw new Error(`usage: ${usage}`);
  process.exitCode = spawnSync('java', kafkaToolCommand(name, args), { stdio: 'inherit' }).status ?? 1;
}

/** 9092, 9094, 9096 as everybody expects; the secure listeners from 9192 on. */
function defaultPorts(index: number): BrokerPorts {
  const plain = 9092 + 2 * index;
  const secure = 9192 + 10 * index;
  return {
    plain,
    controller: plain + 1,
    tls: secure,
    mutualTls: secure + 1,
    saslTls: secure + 2,
    saslPlain: secure + 3,
  };
}
