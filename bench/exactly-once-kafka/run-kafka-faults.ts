import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { seededRandom } from '../chaos/random.ts';
import { anyOf, type ProcessFaults, processFaults } from '../faults/process-faults.ts';
import { type AbortedTransactions, type FaultsVerdict, runFaults } from '../faults/run-faults.ts';
import { WorkerProcesses } from '../faults/worker-processes.ts';
import type { KafkaWorkerOptions } from './kafka-worker-process.ts';
import { KafkaWorld, TRANSACTION_TIMEOUT_MS } from './kafka-world.ts';
import type { OutputVerdict } from './output-tally.ts';

/** What is done to workers and the broker, and how often. An output that the broker refuses aborts a transaction. */
export interface KafkaFaults extends ProcessFaults {
  /** A producer with the id of a worker's, which ends the worker's transaction and shuts it out. */
  readonly fencings: number;
}

/** What the run is given to work with. */
export interface KafkaFaultsOptions {
  readonly brokers: string;
  /** That a partition has. */
  readonly replicas: number;
  readonly records: number;
  readonly minimums: KafkaFaults & AbortedTransactions;
  readonly seed: number;
  readonly delivery: KafkaWorkerOptions['delivery'];
  readonly reader: KafkaWorkerOptions['reader'];
  readonly restartBroker: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const FENCE_MS = 60_000;
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Workers write records from topic to topic, each once, while everything goes wrong that can. */
export async function runKafkaFaults(options: KafkaFaultsOptions): Promise<FaultsVerdict<OutputVerdict, KafkaFaults>> {
  const { brokers, replicas, delivery, reader, records, minimums, seed, restartBroker, say, signal } = options;
  const world = await KafkaWorld.open(brokers, replicas);
  const { outputTopic, deadLetterTopic } = world;
  const { topic } = world.input;
  const fleet = new WorkerProcesses<KafkaWorkerOptions>(
    new URL('./kafka-worker-process.ts', import.meta.url),
    (index) => ({
      ...{ brokers, reader, topic, outputTopic, deadLetterTopic, groupId: topic, delivery },
      name: `worker-${index}`,
    }),
  );
  const random = seededRandom(seed);
  const fence = async (): Promise<void> => fenceOff(brokers, await transactionalIdOf(fleet, random));
  try {
    return await runFaults<OutputVerdict, KafkaFaults>({
      ...{ world, fleet, records, minimums, random, say, signal },
      staged: { ...processFaults(fleet, random, restartBroker), fencings: fence },
    });
  } finally {
    say('ending');
    await fleet.close();
    await world.close();
  }
}

const ID = 'transactional id ';

/** That of one that runs, when it has loaded. */
async function transactionalIdOf(
  fleet: Pick<WorkerProcesses<KafkaWorkerOptions>, 'members' | 'failed'>,
  random: () => number,
): Promise<string> {
  const deadline = Date.now() + FENCE_MS;
  for (;;) {
    const { lines, name } = anyOf(fleet, random);
    const said = lines.findLast((line) => line.startsWith(ID));
    if (said !== undefined) return said.slice(ID.length);
    if (Date.now() > deadline) throw new Error(`${name} has no transactional id`);
    await sleep(100);
  }
}

async function fenceOff(brokers: string, transactionalId: string): Promise<void> {
  const kafka = confluentKafka({ brokers: brokers.split(',') });
  const producer = kafka.transactionalProducer({
    ...{ transactionalId, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS, clock: systemClock, logger: quiet },
  });
  try {
    await producer.connect({ timeoutMs: FENCE_MS });
    await producer.init(FENCE_MS);
  } finally {
    await producer.close(5_000);
  }
}
