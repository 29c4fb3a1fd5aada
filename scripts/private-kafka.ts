import { rmSync } from 'node:fs';
import { startKafka, stopKafka } from './kafka-cluster.ts';
import type { KafkaCluster } from './kafka-cluster-file.ts';
import { freePorts } from './kafka-ports.ts';
import { abandonedDirectories, makePrivateDirectory } from './private-directory.ts';

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
  /** Its speed is what is looked at. */
  readonly measured?: true;
}

/** Starts it, as one broker with secure listeners unless it is told; what a killed run left behind is stopped and removed first. */
export async function startPrivateKafka(
  say: (line: string) => void,
  signal?: AbortSignal,
  { brokers, secure, measured }: PrivateKafkaShape = { brokers: 1, secure: true },
): Promise<PrivateKafka> {
  for (const abandoned of abandonedDirectories(prefix)) await remove(abandoned).catch(() => {});
  const directory = makePrivateDirectory(prefix);
  try {
    const ports = await freePorts(brokers);
    const cluster = await startKafka({ directory, brokers, secure, ports, measured, say, signal });
    return { cluster, directory, stop: () => remove(directory) };
  } catch (error) {
    await remove(directory);
    throw error;
  }
}

async function remove(directory: string): Promise<void> {
  await stopKafka(directory);
  rmSync(directory, { recursive: true, force: true });
}
