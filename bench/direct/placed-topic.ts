import { systemClock } from '@kafka-worker/core';
import { type ConfluentKafkaOptions, confluentKafka } from '@kafka-worker/core/confluent';
import { TestClients } from '../../packages/core/src/testing/cluster-under-test.ts';
import type { ThreeBrokers } from '../chaos/three-brokers.ts';
import { LeaderMover } from './leader-mover.ts';
import { LeaderWatch } from './leader-watch.ts';
import { untilLed } from './until-led.ts';

/** What a part of the run that has a topic of its own is given. */
export interface PartOptions {
  readonly brokers: ThreeBrokers;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Of what kind the topic is. */
interface Placement {
  readonly partitions: number;
  /** Of each partition; the first is to lead. */
  readonly replicas: readonly number[];
  readonly config?: Readonly<Record<string, string>>;
}

/** A topic whose leaders are chosen and watched, and the clients that read and write it. */
export class PlacedTopic {
  /** The brokers, as `host:port`. */
  readonly list: readonly string[];
  readonly mover: LeaderMover;
  readonly watch: LeaderWatch;
  readonly #name: string;
  readonly #options: PartOptions;
  readonly #clients: TestClients[] = [];

  constructor(name: string, options: PartOptions) {
    this.#name = name;
    this.#options = options;
    this.list = options.brokers.bootstrap.split(',');
    this.mover = new LeaderMover(this.list, name);
    this.watch = new LeaderWatch(this.list, name);
  }

  /** Creates it, and resolves when it is led as it is to be. */
  async create({ partitions, replicas, config }: Placement): Promise<void> {
    const { mover, watch } = this;
    const { brokers, signal } = this.#options;
    await brokers.createTopic(this.#name, partitions, config);
    watch.start();
    await untilLed({ mover, watch, partitions, replicas, signal });
  }

  /** Clients of these brokers, which are closed with the topic. */
  clientsWith(options: Omit<ConfluentKafkaOptions, 'brokers'>): TestClients {
    const cluster = confluentKafka({ brokers: this.list, ...options });
    const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
    this.#clients.push(clients);
    return clients;
  }

  /** Watches no more, and closes what reads and writes. */
  async close(): Promise<void> {
    this.mover.close();
    await Promise.all([this.watch.stop(), ...this.#clients.map((clients) => clients.close())]);
  }
}
