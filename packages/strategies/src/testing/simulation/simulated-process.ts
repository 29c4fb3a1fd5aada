import {
  type Clock,
  type KafkaCluster,
  type KafkaConsumer,
  type KafkaConsumerOptions,
  type NextOffset,
  type Poll,
  type StartOffset,
  type TopicPartition,
  Worker,
  type WorkerOptions,
} from '@kafka-worker/core';
import type { FakeKafka, VirtualClock } from '@kafka-worker/core/testing';
import type { Oracle } from './oracle.ts';

/** What a process lives in. */
export interface ProcessSurroundings {
  readonly kafka: FakeKafka;
  readonly clock: VirtualClock;
  readonly oracle: Oracle;
  /** Between the worker and its client, to break a rule on purpose. */
  readonly tamperWith: ((consumer: KafkaConsumer) => KafkaConsumer) | undefined;
}

type Options = Omit<WorkerOptions, 'kafka' | 'clock' | 'groupId' | 'topics'>;

/** A process with one worker. It has a clock and clients of its own, so that nothing of it goes on when it crashes. */
export class SimulatedProcess {
  readonly name: string;
  readonly worker: Worker;
  isDead = false;
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
    const { kafka, tamperWith } = this.#surroundings;
    return {
      kind: kafka.kind,
      brokers: kafka.brokers,
      consumer: (options) => {
        const consumer = this.#watched(options);
        return tamperWith === undefined ? consumer : tamperWith(consumer);
      },
      producer: (options) => kafka.producer({ ...options, clientId: this.name }),
      admin: (options) => kafka.admin({ ...options, clientId: this.name }),
    };
  }

  /** A consumer that tells the oracle what passes through it. */
  #watched(options: KafkaConsumerOptions): KafkaConsumer {
    const { kafka, oracle } = this.#surroundings;
    const { ownership } = oracle;
    const consumer = kafka.consumer({ ...options, clientId: this.name });
    const note = (what: string, places: readonly (TopicPartition & { readonly offset?: number })[]): void =>
      oracle.note(
        [
          this.name,
          what,
          ...places.map(({ partition, offset }) => `${partition}${offset === undefined ? '' : `@${offset}`}`),
        ].join(' '),
      );
    const watched: Partial<KafkaConsumer> = {
      poll: async (...args): Promise<Poll> => {
        const poll = await consumer.poll(...args);
        for (const { type, partitions } of poll.events) note(`is told ${type}`, partitions);
        ownership.told(this.name, poll.events);
        return poll;
      },
      commit: async (offsets: readonly NextOffset[]): Promise<void> => {
        note('commits', offsets);
        const answered = ownership.committing(this.name, offsets);
        try {
          await consumer.commit(offsets);
        } catch (error) {
          answered(false);
          note('cannot commit', offsets);
          throw error;
        }
        answered(true);
      },
      assign: (starts: readonly StartOffset[]): void => {
        note('takes', starts);
        consumer.assign(starts);
        ownership.assigned(this.name, starts);
      },
      release: (partitions: readonly TopicPartition[]): void => {
        note('releases', partitions);
        ownership.released(this.name, partitions);
        consumer.release(partitions);
      },
      close: (how): Promise<void> => {
        note('closes', []);
        ownership.gone(this.name, 'closed');
        return consumer.close(how);
      },
    };
    return new Proxy(consumer, {
      get: (target, name) => {
        const member: unknown = Reflect.get(name in watched ? watched : target, name);
        if (typeof member !== 'function') return member;
        // What a dead process still calls is heard by nobody.
        return (...args: unknown[]): unknown =>
          this.isDead ? new Promise(() => {}) : (Reflect.apply(member, target, args) as unknown);
      },
    });
  }
}
