import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, type KafkaCluster, startKafka, stopKafka } from './kafka-broker.ts';

const prefix = 'kafka-ts-worker-test-';

/** A real broker for one run of the tests, on ports and in a directory of its own. */
export interface PrivateKafka {
  readonly cluster: KafkaCluster;
  readonly stop: () => Promise<void>;
}

/** Starts it; what a killed run left behind is stopped and removed first. */
export async function startPrivateKafka(say: (line: string) => void): Promise<PrivateKafka> {
  await removeAbandoned();
  const directory = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  const cluster = await startKafka({ directory, brokers: 1, secure: true, ports: await freePorts(1), say });
  return { cluster, stop: () => remove(directory) };
}

async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(prefix))) {
    const owner = Number(name.slice(prefix.length).split('-')[0]);
    if (owner > 0 && !isAlive(owner)) await remove(join(tmpdir(), name)).catch(() => {});
  }
}

async function remove(directory: string): Promise<void> {
  await stopKafka(directory);
  rmSync(directory, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
