import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaToolCommand } from './kafka-jars.ts';
import { type BrokerPorts, brokerProperties } from './kafka-properties.ts';
import { type KnownProcess, knownProcess } from './process-identity.ts';
import type { SecureKafka } from './secure-kafka.ts';

/** One broker of a cluster in a directory, as written to its `cluster.json`. */
export interface KafkaBroker extends KnownProcess {
  readonly nodeId: number;
  readonly ports: BrokerPorts;
}

/** A broker's process, which may or may not answer yet. */
export interface SpawnedBroker {
  readonly child: ChildProcess;
  readonly known: KnownProcess;
}

/** Writes the properties of a broker and formats its data unless they are. */
export async function prepareBroker(
  directory: string,
  nodeId: number,
  ports: readonly BrokerPorts[],
  secure: SecureKafka | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const home = join(directory, `broker-${nodeId}`);
  const data = join(home, 'data');
  const properties = propertiesFile(directory, nodeId);
  mkdirSync(home, { recursive: true });
  writeFileSync(properties, brokerProperties(nodeId, ports, data, secure));
  if (existsSync(join(data, 'meta.properties'))) return;
  const user = secure && `name=${secure.scramUser.username},password=${secure.scramUser.password}`;
  const scram = user ? ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((each) => ['--add-scram', `${each}=[${user}]`]) : [];
  await format(['format', '-t', clusterId(directory), '-c', properties, ...scram], signal);
}

/** Starts a broker that was prepared. It outlives its starter: who starts it writes it down at once. */
export function spawnBroker(directory: string, jars: string, nodeId: number, jvm: readonly string[]): SpawnedBroker {
  const home = join(directory, `broker-${nodeId}`);
  const log = openSync(join(home, 'log'), 'a');
  // Its own session and no pipe of ours: the broker outlives the terminal and nobody waits for its output.
  const child = spawn(
    'java',
    [
      ...[...jvm, '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'],
      ...['-Dorg.slf4j.simpleLogger.showDateTime=true', '-cp', join(jars, '*')],
      ...['kafka.Kafka', propertiesFile(directory, nodeId)],
    ],
    { detached: true, stdio: ['ignore', log, log], cwd: home },
  );
  closeSync(log);
  child.unref();
  child.once('error', () => {});
  if (child.pid === undefined) throw new Error(`java could not be started for broker ${nodeId}`);
  return { child, known: knownProcess(child.pid) };
}

/**
 * How the JVM of a broker runs that has so many beside it. One that lives for minutes has no use of optimised code, nor of collecting on several
 * threads: both cost it more than half of its CPU time. One that is `measured` has them, as it would have them in earnest.
 */
export function jvmOptions(brokers: number, measured = false): readonly string[] {
  const brief = measured ? [] : ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  return [brokers === 1 ? '-Xmx1g' : '-Xmx512m', ...brief];
}

/** The end of what a broker has logged. */
export function logTail(directory: string, nodeId: number): string {
  const log = join(directory, `broker-${nodeId}`, 'log');
  return existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-30).join('\n') : '';
}

function format(args: readonly string[], signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('java', kafkaToolCommand('StorageTool', args), {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(signal && { signal }),
    });
    let output = '';
    const keep = (chunk: string): void => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    // After the end also when it was aborted, so that nothing of it runs on.
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
      if (child.pid === undefined) reject(error);
    });
    child.once('close', (code) => {
      if (failure !== undefined) reject(failure);
      else if (code === 0) resolve();
      else reject(new Error(`Kafka could not format its data:\n${output}`));
    });
  });
}

/** 16 random bytes; never with a hyphen in front, which Kafka's tool takes for an option, one time in 64. */
function clusterId(directory: string): string {
  const file = join(directory, 'cluster-id');
  if (!existsSync(file)) writeFileSync(file, randomBytes(16).toString('base64url').replace(/^-/, 'A'));
  return readFileSync(file, 'utf8');
}

function propertiesFile(directory: string, nodeId: number): string {
  return join(directory, `broker-${nodeId}`, 'server.properties');
}
