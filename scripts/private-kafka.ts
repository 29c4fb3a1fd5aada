import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KafkaCluster, startKafka, stopKafka } from './kafka-cluster.ts';
import { freePorts } from './kafka-ports.ts';
import { processIdentity } from './process-identity.ts';

const prefix = 'kafka-ts-worker-broker-';

/** A real broker for one run of the tests, on ports and in a directory of its own. */
export interface PrivateKafka {
  readonly cluster: KafkaCluster;
  readonly stop: () => Promise<void>;
}

/** Starts it; what a killed run left behind is stopped and removed first. */
export async function startPrivateKafka(say: (line: string) => void, signal?: AbortSignal): Promise<PrivateKafka> {
  await removeAbandoned();
  const directory = mkdtempSync(join(tmpdir(), `${prefix}${processIdentity()}-`));
  try {
    const ports = await freePorts(1);
    const cluster = await startKafka({ directory, brokers: 1, secure: true, ports, say, signal });
    return { cluster, stop: () => remove(directory) };
  } catch (error) {
    await remove(directory);
    throw error;
  }
}

async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(prefix))) {
    const [pid = '', started = ''] = name.slice(prefix.length).split('-');
    if (processIdentity(Number(pid)) !== `${pid}-${started}`) await remove(join(tmpdir(), name)).catch(() => {});
  }
}

async function remove(directory: string): Promise<void> {
  await stopKafka(directory);
  rmSync(directory, { recursive: true, force: true });
}
