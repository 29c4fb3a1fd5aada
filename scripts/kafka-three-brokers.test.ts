import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import confluent from '@confluentinc/kafka-javascript';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jvmOptions } from './kafka-broker.ts';
import type { KafkaCluster } from './kafka-cluster-file.ts';
import { missingForKafka } from './kafka-jars.ts';
import { processIdentity } from './process-identity.ts';
import { scriptProcess } from './script-process.ts';

const { AdminClient, HighLevelProducer } = confluent.RdKafka;
const hasRealTier = process.env.KAFKA_BROKERS !== undefined && missingForKafka().length === 0;
const timeoutMs = 120_000;

(hasRealTier ? describe : describe.skip)('npm run kafka -- start --brokers 3, on a real Kafka', () => {
  let directory: string;
  // These live for half a minute.
  const env = { ...process.env, JDK_JAVA_OPTIONS: jvmOptions(3).join(' ') };
  const kafka = (command: string, ...args: readonly string[]) =>
    scriptProcess(['scripts/kafka.ts', command, '--directory', directory, ...args], env).ended;
  const cluster = () => JSON.parse(readFileSync(join(directory, 'cluster.json'), 'utf8')) as KafkaCluster;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-three-'));
  });
  afterAll(async () => {
    await kafka('stop');
    rmSync(directory, { recursive: true, force: true });
  }, timeoutMs);

  it(
    'starts one cluster for two that ask at once, keeps three replicas and leaves no process',
    async () => {
      const start = () => kafka('start', '--brokers', '3', '--free-ports');
      const [one, other] = await Promise.all([start(), start()]);
      const { brokers, bootstrap } = cluster();
      const pids = brokers.map(({ pid }) => pid);
      const running = `is running on ${bootstrap} (pid ${pids.join(', ')})`;
      expect(one).toMatchObject({ code: 0, output: expect.stringContaining(running) });
      expect(other).toMatchObject({ code: 0, output: expect.stringContaining(running) });
      expect(new Set(pids).size).toBe(3);

      await createReplicatedTopic(bootstrap, 'replicated');
      expect(await produceToAllReplicas(bootstrap, 'replicated')).toEqual({ offset: 0, inSync: [1, 2, 3] });

      expect(await kafka('stop')).toEqual({ code: 0, output: 'stopped 3 brokers\n' });
      expect(pids.filter((pid) => processIdentity(pid) !== undefined)).toEqual([]);
    },
    timeoutMs,
  );
});

function createReplicatedTopic(bootstrap: string, topic: string): Promise<void> {
  const admin = AdminClient.create({ 'bootstrap.servers': bootstrap });
  // No record is acknowledged here unless all three have it.
  const config = { 'min.insync.replicas': '3' };
  return new Promise<void>((resolve, reject) => {
    admin.createTopic({ topic, num_partitions: 1, replication_factor: 3, config }, 20_000, (error) =>
      error ? reject(error) : resolve(),
    );
  }).finally(() => admin.disconnect());
}

async function produceToAllReplicas(bootstrap: string, topic: string): Promise<{ offset: number; inSync: number[] }> {
  const producer = new HighLevelProducer({ 'bootstrap.servers': bootstrap, acks: -1 });
  await new Promise<void>((resolve, reject) => {
    producer.connect({}, (error) => (error ? reject(error) : resolve()));
  });
  try {
    const offset = await new Promise<number>((resolve, reject) => {
      producer.produce(topic, 0, Buffer.from('x'), null, null, (error: Error | null, written?: number | null) =>
        error ? reject(error) : resolve(written ?? -1),
      );
    });
    const inSync = await new Promise<number[]>((resolve, reject) => {
      producer.getMetadata({ topic, timeout: 10_000 }, (error, metadata) =>
        error ? reject(error) : resolve(metadata.topics[0]?.partitions[0]?.isrs.toSorted() ?? []),
      );
    });
    return { offset, inSync };
  } finally {
    await new Promise((resolve) => producer.disconnect(resolve));
  }
}
