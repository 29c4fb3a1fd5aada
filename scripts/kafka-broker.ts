import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import confluent from '@confluentinc/kafka-javascript';
import { type Certificates, createCertificates } from './kafka-certificates.ts';
import { kafkaJars, kafkaToolCommand } from './kafka-jars.ts';
import { type BrokerPorts, brokerProperties, type KafkaUser } from './kafka-properties.ts';

/** What a cluster in a directory is, as written to its `cluster.json`. */
export interface KafkaCluster {
  readonly brokers: readonly { readonly nodeId: number; readonly pid: number; readonly ports: BrokerPorts }[];
  /** Bootstrap addresses of the plain listeners, comma separated. */
  readonly bootstrap: string;
  /** Path of the JSON file that describes the secure listeners: a {@link SecureKafka}. */
  readonly secure?: string;
}

/** The secure listeners of a cluster and what a client needs for them; written as JSON for the tests. */
export interface SecureKafka extends Certificates {
  /** Bootstrap addresses by listener. The two SASL listeners each speak PLAIN, SCRAM-SHA-256 and OAUTHBEARER. */
  readonly bootstrap: {
    readonly tls: string;
    readonly mutualTls: string;
    readonly saslTls: string;
    readonly saslPlain: string;
  };
  readonly plainUser: KafkaUser;
  readonly scramUser: KafkaUser;
  /** OAUTHBEARER takes unsecured JSON web tokens (`alg: none`) with `sub`, `iat` and `exp`. */
  readonly oauthSubject: string;
}

/** How to start a cluster. */
export interface StartKafkaOptions {
  /** Data, logs, certificates and process ids: everything of this cluster. */
  readonly directory: string;
  readonly brokers: 1 | 3;
  readonly secure: boolean;
  readonly ports: readonly BrokerPorts[];
  readonly say?: (line: string) => void;
}

const startTimeoutMs = 90_000;
const stopTimeoutMs = 15_000;

/** Starts a cluster, or finds it running; returns when every broker is known to the one that was asked. */
export async function startKafka(options: StartKafkaOptions): Promise<KafkaCluster> {
  const { directory, secure, ports, say = () => {} } = options;
  const running = runningKafka(directory);
  if (running !== undefined) {
    if (running.brokers.length !== options.brokers || (running.secure !== undefined) !== secure) {
      throw new Error('a Kafka of another shape is running here: stop it first');
    }
    return running;
  }
  const jars = kafkaJars(say);
  await refusePortsInUse(ports, secure);
  await stopKafka(directory);
  // A cluster of another shape cannot use the data that is there.
  const shape = JSON.stringify({ ports, secure });
  const shapeFile = join(directory, 'shape.json');
  if (readIfThere(shapeFile) !== shape) {
    if (existsSync(shapeFile)) say('the last cluster here had another shape: its data is removed');
    rmSync(directory, { recursive: true, force: true });
  }
  mkdirSync(directory, { recursive: true });
  const secureKafka = secure ? await secureSetup(directory, ports) : undefined;
  const children = ports.map((_, index) => startBroker(directory, jars, index + 1, ports, secureKafka));
  const cluster: KafkaCluster = {
    brokers: children.map(({ pid }, index) => ({
      nodeId: index + 1,
      pid: pid ?? 0,
      ports: ports[index] as BrokerPorts,
    })),
    bootstrap: addresses(ports, 'plain'),
    ...(secure && { secure: secureFile(directory) }),
  };
  writeFileSync(clusterFile(directory), JSON.stringify(cluster, undefined, 2));
  try {
    await untilAllAnswer(cluster, children, directory);
  } catch (error) {
    await stopKafka(directory);
    throw error;
  }
  writeFileSync(shapeFile, shape);
  return cluster;
}

/** The cluster in a directory if all of its brokers are alive. */
export function runningKafka(directory: string): KafkaCluster | undefined {
  const cluster = readCluster(directory);
  return cluster?.brokers.every(({ nodeId, pid }) => isOurBroker(directory, nodeId, pid)) ? cluster : undefined;
}

/** Stops what {@link startKafka} started in this directory, and nothing else. Returns how many brokers it stopped. */
export async function stopKafka(directory: string): Promise<number> {
  const cluster = readCluster(directory);
  if (cluster === undefined) return 0;
  const alive = () => cluster.brokers.filter(({ nodeId, pid }) => isOurBroker(directory, nodeId, pid));
  const stopped = alive().length;
  for (const { pid } of alive()) process.kill(pid, 'SIGTERM');
  const deadline = Date.now() + stopTimeoutMs;
  while (alive().length > 0 && Date.now() < deadline) await sleep(50);
  for (const { pid } of alive()) process.kill(pid, 'SIGKILL');
  while (alive().length > 0) await sleep(20);
  rmSync(clusterFile(directory), { force: true });
  return stopped;
}

/** Ports that nobody listens on at the moment, for clusters that must not meet another one. */
export async function freePorts(brokers: number): Promise<BrokerPorts[]> {
  const servers = await Promise.all(Array.from({ length: brokers * 6 }, listenAnywhere));
  const free = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return Array.from({ length: brokers }, (_, index) => {
    const [plain, controller, tls, mutualTls, saslTls, saslPlain] = free.slice(index * 6) as [
      ...[number, number, number, number, number, number],
    ];
    return { plain, controller, tls, mutualTls, saslTls, saslPlain };
  });
}

function startBroker(
  directory: string,
  jars: string,
  nodeId: number,
  ports: readonly BrokerPorts[],
  secure?: SecureKafka,
): ChildProcess {
  const home = join(directory, `broker-${nodeId}`);
  const data = join(home, 'data');
  const properties = propertiesFile(directory, nodeId);
  mkdirSync(home, { recursive: true });
  writeFileSync(properties, brokerProperties(nodeId, ports, data, secure));
  if (!existsSync(join(data, 'meta.properties'))) format(directory, properties, secure);
  const log = openSync(join(home, 'log'), 'a');
  // Its own session and no pipe of ours: the broker outlives the terminal and nobody waits for its output.
  const child = spawn(
    'java',
    [
      ...[`-Xmx${ports.length === 1 ? '1g' : '512m'}`, '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'],
      ...['-Dorg.slf4j.simpleLogger.showDateTime=true', '-cp', join(jars, '*'), 'kafka.Kafka', properties],
    ],
    { detached: true, stdio: ['ignore', log, log], cwd: home },
  );
  closeSync(log);
  child.unref();
  return child;
}

function format(directory: string, properties: string, secure?: SecureKafka): void {
  const idFile = join(directory, 'cluster-id');
  if (!existsSync(idFile)) writeFileSync(idFile, randomBytes(16).toString('base64url'));
  const scram = secure?.scramUser;
  const formatted = spawnSync(
    'java',
    kafkaToolCommand('StorageTool', [
      ...['format', '-t', readFileSync(idFile, 'utf8'), '-c', properties],
      ...(scram ? ['--add-scram', `SCRAM-SHA-256=[name=${scram.username},password=${scram.password}]`] : []),
    ]),
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
  if (formatted.status !== 0)
    throw new Error(`Kafka could not format its data:\n${formatted.stdout}${formatted.stderr}`);
}

async function secureSetup(directory: string, ports: readonly BrokerPorts[]): Promise<SecureKafka> {
  const file = secureFile(directory);
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as SecureKafka;
  const password = (): string => randomBytes(12).toString('hex');
  const secure: SecureKafka = {
    ...(await createCertificates(join(directory, 'certificates'))),
    bootstrap: {
      tls: addresses(ports, 'tls'),
      mutualTls: addresses(ports, 'mutualTls'),
      saslTls: addresses(ports, 'saslTls'),
      saslPlain: addresses(ports, 'saslPlain'),
    },
    plainUser: { username: 'plain-user', password: password() },
    scramUser: { username: 'scram-user', password: password() },
    oauthSubject: 'oauth-user',
  };
  writeFileSync(file, JSON.stringify(secure, undefined, 2), { mode: 0o600 });
  return secure;
}

async function untilAllAnswer(
  cluster: KafkaCluster,
  children: readonly ChildProcess[],
  directory: string,
): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const dead = children.findIndex(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
    if (dead >= 0) throw new Error(`broker ${dead + 1} ended while it started:\n${logTail(directory, dead + 1)}`);
    if ((await brokersThatAnswer(cluster.bootstrap)) === children.length) return;
    if (Date.now() > deadline) {
      throw new Error(`Kafka does not answer on ${cluster.bootstrap}:\n${logTail(directory, 1)}`);
    }
    await sleep(200);
  }
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

async function refusePortsInUse(ports: readonly BrokerPorts[], secure: boolean): Promise<void> {
  for (const { plain, controller, ...secured } of ports) {
    for (const port of [plain, controller, ...(secure ? Object.values(secured) : [])]) {
      if (await isListening(port, '127.0.0.1')) throw new Error(`port ${port} is in use by another program`);
    }
  }
}

async function isListening(port: number, host: string): Promise<boolean> {
  const { connect } = await import('node:net');
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const answer = (listening: boolean): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}

function listenAnywhere(): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/** A process id may be somebody else's by now: ours names our properties file in its command line. */
function isOurBroker(directory: string, nodeId: number, pid: number): boolean {
  const fromProc = readIfThere(`/proc/${pid}/cmdline`);
  const commandLine =
    fromProc ?? (existsSync('/proc/self') ? '' : spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).stdout);
  return String(commandLine).includes(propertiesFile(directory, nodeId));
}

function logTail(directory: string, nodeId: number): string {
  const log = readIfThere(join(directory, `broker-${nodeId}`, 'log')) ?? '';
  return log.split('\n').slice(-30).join('\n');
}

function addresses(ports: readonly BrokerPorts[], listener: keyof BrokerPorts): string {
  return ports.map((each) => `127.0.0.1:${each[listener]}`).join(',');
}

function readCluster(directory: string): KafkaCluster | undefined {
  const text = readIfThere(clusterFile(directory));
  return text === undefined ? undefined : (JSON.parse(text) as KafkaCluster);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

const clusterFile = (directory: string): string => join(directory, 'cluster.json');
const secureFile = (directory: string): string => join(directory, 'secure.json');
const propertiesFile = (directory: string, nodeId: number): string =>
  join(directory, `broker-${nodeId}`, 'server.properties');
