import {
  type Clock,
  type KafkaCluster,
  type KafkaConsumer,
  type TransactionalProducer,
  Worker,
  type WorkerOptions,
} from '@kafka-worker/core';
import type { FakeKafka, VirtualClock } from '@kafka-worker/core/testing';
import type { Oracle } from './oracle.ts';
import { watchedConsumer } from './watched-consumer.ts';
import { watchedProducer } from './watched-producer.ts';

/** What a process lives in. */
export interface ProcessSurroundings {
  readonly kafka: FakeKafka;
  readonly clock: VirtualClock;
  readonly oracle: Oracle;
  /** Between the worker and its client, to break a rule on purpose. */
  readonly tamperWith: ((consumer: KafkaConsumer) => KafkaConsumer) | undefined;
  readonly tamperWithProducer: ((producer: TransactionalProducer) => TransactionalProducer) | undefined;
}

type Options = Omit<WorkerOptions, 'kafka' | 'clock' | 'groupId' | 'topics'>;

/** A process with one worker. It has a clock and clients of its own, so that nothing of it goes on when it crashes. */
export class SimulatedProcess {
  readonly name: string;
  readonly worker: Worker;
  isDead = false;
  /** Of its last transactional producer. */
  transactionalId: string | undefined;
  readonly #surroundings: ProcessSurroundings;
  readonly #timers = new Set<{ clear(): void }>();

  constructor(name: string, surroundings: ProcessSurroundings, options: (process: SimulatedProcess) => Options) {
    this.name = name;
    this.#surroundings = surroundings;
    const common = { kafka: this.#cluster(), clock: this.clock, groupId: 'g', topics: 't' };
    this.worker = new Worker({ ...options(this), ...common } as WorkerOptions);
  }

  /** Time as this process knows it: its timers end with it. */
  readonly clock: Clock = {
    now: () => this.#surroundings.clock.now(),
    setTimeout: (run, ms) => {
      if (this.isDead) return { clear: () => {} };
      const timer = this.#surroundings.clock.setTimeout(() => {
        this.#timers.delete(timer);
        run();
      }, ms);
      this.#timers.add(timer);
      return {
        clear: () => {
          this.#timers.delete(timer);
          timer.clear();
        },
      };
    },
  };

  /** Which member of the group it is, if it is one. */
  get member(): number | undefined {
    const index = this.#surroundings.kafka.group('g').members.indexOf(this.name);
    return index < 0 ? undefined : index;
  }

  /** It is gone, in the middle of whatever it does. */
  crash(): void {
    if (this.isDead) return;
    this.isDead = true;
    for (const timer of this.#timers) timer.clear();
    this.#timers.clear();
    this.#surroundings.kafka.crash(this.name);
    this.#surroundings.oracle.crashed(this.name);
  }

  #cluster(): KafkaCluster {
    const { kafka, oracle, tamperWith, tamperWithProducer } = this.#surroundings;
    return {
      kind: kafka.kind,
      brokers: kafka.brokers,
      consumer: (options) => {
        const own = kafka.consumer({ ...options, clientId: this.name });
        const consumer = watchedConsumer(own, { name: this.name, isDead: () => this.isDead, oracle });
        return tamperWith === undefined ? consumer : tamperWith(consumer);
      },
      producer: (options) => kafka.producer({ ...options, clientId: this.name }),
      transactionalProducer: (options) => {
        this.transactionalId = options.transactionalId;
        const own = kafka.transactionalProducer({ ...options, clientId: this.name });
        const producer = watchedProducer(own, { name: this.name, isDead: () => this.isDead, oracle });
        return tamperWithProducer === undefined ? producer : tamperWithProducer(producer);
      },
      admin: (options) => kafka.admin({ ...options, clientId: this.name }),
    };
  }
}
