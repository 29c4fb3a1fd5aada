import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KafkaBroker } from './kafka-broker.ts';

/** What a cluster in a directory is, as written to its `cluster.json`. */
export interface KafkaCluster {
  readonly brokers: readonly KafkaBroker[];
  /** Bootstrap addresses of the plain listeners, comma separated. */
  readonly bootstrap: string;
  /** Path of the JSON file that describes the secure listeners: a `SecureKafka`. */
  readonly secure?: string;
  /** Not all of it may be there: it is being started, or its start was killed. */
  readonly starting?: true;
}

/** The cluster that was last written down in a directory, and not stopped since. */
export function readCluster(directory: string): KafkaCluster | undefined {
  const text = readIfThere(clusterFile(directory));
  return text === undefined ? undefined : (JSON.parse(text) as KafkaCluster);
}

/** Renamed into place: whoever reads it reads all of it. */
export function writeCluster(directory: string, cluster: KafkaCluster): void {
  const file = clusterFile(directory);
  writeFileSync(`${file}.new`, JSON.stringify(cluster, undefined, 2));
  renameSync(`${file}.new`, file);
}

/** Nothing of it runs any more. */
export function removeCluster(directory: string): void {
  rmSync(clusterFile(directory), { force: true });
}

/** The text of a file, `undefined` if there is none. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

const clusterFile = (directory: string): string => join(directory, 'cluster.json');
