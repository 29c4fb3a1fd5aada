import { setTimeout as sleep } from 'node:timers/promises';
import clients, { type RdKafka } from '@confluentinc/kafka-javascript';
import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { endBroker, startBrokerAgain } from '../../scripts/broker-restart.ts';
import { startPrivateKafka } from '../../scripts/private-kafka.ts';
import { called } from '../called.ts';

const BROKERS = 3;
const IN_SYNC_MS = 90_000;
/** A broker that came back is known to be behind only a moment later: in sync is what has looked so for a while. */
const LOOKS_IN_SYNC = 5;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A private cluster of three brokers, some of which can be away. */
export class ThreeBrokers {
  readonly bootstrap: string;
  readonly #directory: string;
  readonly #stop: () => Promise<void>;
  readonly #away = new Set<number>();

  private constructor(bootstrap: string, directory: string, stop: () => Promise<void>) {
    this.bootstrap = bootstrap;
    this.#directory = directory;
    this.#stop = stop;
  }

  static async start(say: (line: string) => void, signal: AbortSignal): Promise<ThreeBrokers> {
    const { cluster, directory, stop } = await startPrivateKafka(say, signal, { brokers: BROKERS, secure: false });
    return new ThreeBrokers(cluster.bootstrap, directory, stop);
  }

  get isAnyAway(): boolean {
    return this.#away.size > 0;
  }

  /** A topic of three replicas, two of which must have a record before it is acknowledged, unless `config` says otherwise. */
  async createTopic(topic: string, partitions: number, config: Readonly<Record<string, string>> = {}): Promise<void> {
    const admin = confluentKafka({ brokers: this.bootstrap.split(',') }).admin({ clock: systemClock, logger: quiet });
    try {
      await admin.connect({ timeoutMs: 30_000 });
      await admin.createTopic(topic, { partitions, config: { 'min.insync.replicas': '2', ...config } });
    } finally {
      await admin.close();
    }
  }

  async end(nodeId: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#away.add(nodeId);
    await endBroker(this.#directory, nodeId, signal);
  }

  /** Those that are away, or one of them. */
  async startAgain(nodeIds: Iterable<number> = [...this.#away]): Promise<void> {
    for (const nodeId of nodeIds) {
      await startBrokerAgain(this.#directory, nodeId);
      this.#away.delete(nodeId);
    }
  }

  /** Resolves when every partition, the groups' own among them, has all of its replicas in sync. */
  async untilInSync(signal: AbortSignal): Promise<void> {
    const producer = new clients.RdKafka.Producer({ 'bootstrap.servers': this.bootstrap, log_level: 0 });
    producer.on('event.error', () => {});
    await called<unknown>((done) => producer.connect({ timeout: 10_000 }, done));
    try {
      const deadline = Date.now() + IN_SYNC_MS;
      for (let looks = 0; looks < LOOKS_IN_SYNC; ) {
        looks = (await areInSync(producer)) ? looks + 1 : 0;
        if (Date.now() > deadline) throw new Error(`replicas are not in sync after ${IN_SYNC_MS} ms`);
        await sleep(200, undefined, { signal });
      }
    } finally {
      await called((done) => producer.disconnect(done));
    }
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

async function areInSync(producer: RdKafka.Producer): Promise<boolean> {
  try {
    const { brokers, topics } = await called<RdKafka.Metadata>((done) => {
      producer.getMetadata({ allTopics: true, timeout: 5_000 }, done);
    });
    return (
      brokers.length === BROKERS &&
      topics.every(({ partitions }) => partitions.every(({ isrs }) => isrs.length === BROKERS))
    );
  } catch {
    return false;
  }
}
