import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka, stopKafka } from './kafka-cluster.ts';
import type { KafkaCluster } from './kafka-cluster-file.ts';
import { freePorts } from './kafka-ports.ts';
import { processIdentity } from './process-identity.ts';

const prefix = 'kafka-ts-worker-broker-';

/** A real cluster for one run, on ports and in a directory of its own. */
export interface PrivateKafka {
  readonly cluster: KafkaCluster;
  readonly directory: string;
  readonly stop: () => Promise<void>;
}

/** What a private cluster is like. */
export interface PrivateKafkaShape {
  readonly brokers: 1 | 3;
  readonly secure: boolean;
}

/** Starts it, as one broker with secure listeners unless it is told; what a killed run left behind is stopped and removed first. */
export async function startPrivateKafka(
  say: (line: string) => void,
  signal?: AbortSignal,
  { brokers, secure }: PrivateKafkaShape = { brokers: 1, secure: true },
): Promise<PrivateKafka> {
  await removeAbandoned();
  const directory = mkdtempSync(join(tmpdir(), `${prefix}${processIdentity()}-`));
  try {
    const ports = await freePorts(brokers);
    const cluster = await startKafka({ directory, brokers, secure, ports, say, signal });
    return { cluster, directory, stop: () => remove(directory) };
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
