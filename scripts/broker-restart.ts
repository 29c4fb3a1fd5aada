import { setTimeout as sleep } from 'node:timers/promises';
import { withDirectoryLock } from './directory-lock.ts';
import { jvmOptions, type KafkaBroker, spawnBroker } from './kafka-broker.ts';
import { type KafkaCluster, readCluster, writeCluster } from './kafka-cluster-file.ts';
import { kafkaJars } from './kafka-jars.ts';
import { isRunning, signalProcess } from './process-identity.ts';

const END_MS = 30_000;

/** Ends one broker of the cluster in a directory, in order or at once; resolves when its process is gone. */
export async function endBroker(directory: string, nodeId: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await withDirectoryLock(directory, async () => {
    const { broker } = find(directory, nodeId);
    signalProcess(broker, signal);
    const deadline = Date.now() + END_MS;
    while (isRunning(broker)) {
      if (Date.now() > deadline) signalProcess(broker, 'SIGKILL');
      await sleep(20);
    }
  });
}

/** Starts a broker that was ended. Its new process is written down at once, so that the cluster's stop finds it. */
export async function startBrokerAgain(directory: string, nodeId: number): Promise<void> {
  const jars = kafkaJars(() => {});
  await withDirectoryLock(directory, async () => {
    const { cluster, broker } = find(directory, nodeId);
    if (isRunning(broker)) throw new Error(`broker ${nodeId} is running`);
    const { known } = spawnBroker(directory, jars, nodeId, jvmOptions(cluster.brokers.length));
    const brokers = cluster.brokers.map((each) => (each === broker ? { ...broker, ...known } : each));
    writeCluster(directory, { ...cluster, brokers });
  });
}

function find(directory: string, nodeId: number): { readonly cluster: KafkaCluster; readonly broker: KafkaBroker } {
  const cluster = readCluster(directory);
  const broker = cluster?.brokers.find((each) => each.nodeId === nodeId);
  if (cluster === undefined || broker === undefined) throw new Error(`there is no broker ${nodeId} in ${directory}`);
  return { cluster, broker };
}
