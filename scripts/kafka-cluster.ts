import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import confluent from '@confluentinc/kafka-javascript';
import { withDirectoryLock } from './directory-lock.ts';
import { jvmOptions, logTail, prepareBroker, spawnBroker } from './kafka-broker.ts';
import { type KafkaCluster, readCluster, readIfThere, removeCluster, writeCluster } from './kafka-cluster-file.ts';
import { kafkaJars, whyNoKafka } from './kafka-jars.ts';
import { isListening, refusePortsInUse } from './kafka-ports.ts';
import { type BrokerPorts, saslMechanisms } from './kafka-properties.ts';
import { isRunning, signalProcess } from './process-identity.ts';
import { addresses, secureFile, secureKafka } from './secure-kafka.ts';

/** How to start a cluster. */
export interface StartKafkaOptions {
  /** Data, logs, certificates and process ids: everything of this cluster. */
  readonly directory: string;
  readonly brokers: 1 | 3;
  readonly secure: boolean;
  readonly ports: readonly BrokerPorts[];
  /** Its speed is what is looked at. */
  readonly measured?: boolean | undefined;
  readonly say?: (line: string) => void;
  /** Gives up and stops what was started. */
  readonly signal?: AbortSignal | undefined;
}

const ownNames = /^(broker-\d|certificates|cluster-id|cluster\.json(\.new)?|secure\.json|shape\.json)$/;
const startTimeoutMs = 90_000;
const stopTimeoutMs = 15_000;

/**
 * Starts a cluster, or finds it running; returns when every broker is known to the one that was asked. Leaves no
 * broker behind when it fails. Of several at once in the same directory one starts, and the others wait for it.
 */
export async function startKafka(options: StartKafkaOptions): Promise<KafkaCluster> {
  const { directory, say = () => {}, signal } = options;
  return withDirectoryLock(directory, () => startAlone(options, say), {
    signal,
    onWait: (pid) => say(`waiting for process ${pid}, which is starting or stopping Kafka here`),
  });
}

/** The cluster in a directory if it was started as a whole and all of its brokers are alive. */
export function runningKafka(directory: string): KafkaCluster | undefined {
  const cluster = readCluster(directory);
  if (cluster === undefined || cluster.starting) return undefined;
  return cluster.brokers.every(isRunning) ? cluster : undefined;
}

/**
 * Stops what {@link startKafka} started in this directory, and nothing else. Returns how many brokers it stopped. Waits
 * for a start that is under way: what it has not started yet could not be stopped.
 */
export async function stopKafka(directory: string, say: (line: string) => void = () => {}): Promise<number> {
  if (!existsSync(directory)) return 0;
  const onWait = (pid: number): void => say(`waiting for process ${pid}, which is starting or stopping Kafka here`);
  return withDirectoryLock(directory, () => stopAlone(directory), { onWait });
}

/** How many brokers the cluster itself says it has, asked through the client that the tests use too. */
export async function brokersThatAnswer(bootstrap: string): Promise<number> {
  const [host, port] = (bootstrap.split(',')[0] as string).split(':') as [string, string];
  if (!(await isListening(Number(port), host))) return 0;
  const producer = new confluent.RdKafka.Producer({ 'bootstrap.servers': bootstrap, log_level: 0 });
  producer.on('event.error', () => {});
  return new Promise((resolve) => {
    producer.connect({ allTopics: false, timeout: 2_000 }, (error, metadata) => {
      if (error) resolve(0);
      else producer.disconnect(() => resolve(metadata.brokers.length));
    });
  });
}

async function startAlone(options: StartKafkaOptions, say: (line: string) => void): Promise<KafkaCluster> {
  const { directory, secure, ports, measured, signal } = options;
  const running = runningKafka(directory);
  if (running !== undefined) {
    if (running.brokers.length !== options.brokers || (running.secure !== undefined) !== secure) {
      throw new Error('a Kafka of another shape is running here: stop it first');
    }
    return running;
  }
  const obstacle = whyNoKafka();
  if (obstacle !== undefined) throw new Error(obstacle);
  const jars = kafkaJars(say);
  // What a killed start left behind listens on these very ports.
  await stopAlone(directory);
  await refusePortsInUse(ports, secure);
  const shape = JSON.stringify({ ports, secure: secure && saslMechanisms });
  removeOtherShape(directory, shape, say);
  const security = secure ? await secureKafka(directory, ports) : undefined;
  await allOf(ports.map((_, index) => prepareBroker(directory, index + 1, ports, security, signal)));
  let cluster: KafkaCluster = {
    brokers: [],
    bootstrap: addresses(ports, 'plain'),
    ...(secure && { secure: secureFile(directory) }),
    starting: true,
  };
  const children: ChildProcess[] = [];
  try {
    signal?.throwIfAborted();
    for (const [index, own] of ports.entries()) {
      const { child, known } = spawnBroker(directory, jars, index + 1, jvmOptions(ports.length, measured));
      children.push(child);
      cluster = { ...cluster, brokers: [...cluster.brokers, { nodeId: index + 1, ...known, ports: own }] };
      // With nothing awaited since the broker was spawned: whoever kills this process now leaves none that nobody knows.
      writeCluster(directory, cluster);
    }
    await untilAllAnswer(cluster.bootstrap, children, directory, signal);
  } catch (error) {
    await stopAlone(directory);
    throw error;
  }
  const { starting: _, ...started } = cluster;
  writeFileSync(join(directory, 'shape.json'), shape);
  writeCluster(directory, started);
  return started;
}

async function stopAlone(directory: string): Promise<number> {
  const cluster = readCluster(directory);
  if (cluster === undefined) return 0;
  const alive = () => cluster.brokers.filter(isRunning);
  const stopped = alive().length;
  for (const broker of alive()) signalProcess(broker, 'SIGTERM');
  const deadline = Date.now() + stopTimeoutMs;
  while (alive().length > 0 && Date.now() < deadline) await sleep(50);
  for (const broker of alive()) signalProcess(broker, 'SIGKILL');
  while (alive().length > 0) await sleep(20);
  removeCluster(directory);
  return stopped;
}

async function untilAllAnswer(
  bootstrap: string,
  children: readonly ChildProcess[],
  directory: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const dead = children.findIndex(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
    if (dead >= 0) throw new Error(`broker ${dead + 1} ended while it started:\n${logTail(directory, dead + 1)}`);
    if ((await brokersThatAnswer(bootstrap)) === children.length) return;
    if (Date.now() > deadline) {
      throw new Error(`Kafka does not answer on ${bootstrap}:\n${logTail(directory, 1)}`);
    }
    await sleep(200);
  }
}

/** Waits for all of them also when one fails: nobody is left at work. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}

/** A cluster of another shape cannot use the data that is there. */
function removeOtherShape(directory: string, shape: string, say: (line: string) => void): void {
  const last = readIfThere(join(directory, 'shape.json'));
  if (last === shape) return;
  if (last !== undefined) say('the last cluster here had another shape: its data is removed');
  // By name: the directory may have been chosen by a person, who keeps other things in it.
  for (const name of readdirSync(directory)) {
    if (ownNames.test(name)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}
