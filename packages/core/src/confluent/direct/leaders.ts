import { ConnectionError, PollError } from '../../errors.ts';
import { type KafkaWorkerError, toError } from '../../kafka-worker-error.ts';
import type { TopicPartition } from '../../record.ts';
import { topicRefused } from '../refusals.ts';
import { backoffMs } from './backoff.ts';
import { ClusterMap } from './cluster-map.ts';
import type { DirectLibrary } from './direct-library.ts';
import type { DirectOptions } from './direct-options.ts';
import type { DirectPartition } from './direct-partition.ts';
import type { TopicMetadata } from './metadata.ts';
import { MetadataSource } from './metadata-source.ts';
import { Reported } from './reported.ts';

/** Who leads is asked again at the earliest after this. */
const REFRESH_MS = 100;

/** So often in a row it may fail before it is said: a broker that is restarted elsewhere is known by then. */
const QUIET_FAILURES = 3;

const UNKNOWN_TOPIC = 3;
const TOPIC_REFUSED = 29;

/** What is asked with, and who is told. */
export interface LeadersParts {
  readonly library: DirectLibrary;
  readonly options: DirectOptions;
  readonly report: (error: KafkaWorkerError) => void;
  /** There was an answer, or none came. */
  readonly changed: () => void;
}

/** Finds out who leads the partitions: asks when somebody wants to know, one question at a time, ever more rarely while answers lack something. */
export class Leaders {
  readonly map: ClusterMap = new ClusterMap();
  readonly #parts: LeadersParts;
  readonly #source: MetadataSource;
  readonly #reported: Reported;
  #isRunning = true;
  #isAsking = false;
  #isWanted = false;
  #failures = 0;
  #notBefore = 0;

  constructor(parts: LeadersParts) {
    this.#parts = parts;
    this.#source = new MetadataSource(parts.library, parts.options, this.map);
    this.#reported = new Reported(parts.report);
  }

  stop(): void {
    this.#isRunning = false;
    this.#source.close();
  }

  /** What is known does not hold any more, or lacks something. */
  want(): void {
    this.#isWanted = true;
  }

  /** Asks if that is wanted, and may be done now; or tells when to come back. */
  turn(partitions: readonly DirectPartition[], now: number): number {
    if (!this.#isWanted || this.#isAsking || !this.#isRunning) return Number.POSITIVE_INFINITY;
    if (now < this.#notBefore) return this.#notBefore;
    void this.#ask(partitions);
    return Number.POSITIVE_INFINITY;
  }

  async #ask(partitions: readonly DirectPartition[]): Promise<void> {
    this.#isAsking = true;
    this.#isWanted = false;
    const topics = [...new Set(partitions.map(({ topic }) => topic))];
    try {
      const failed = this.map.learn(await this.#source.ask(topics));
      for (const topic of failed) this.#topicFailed(topic);
      for (const topic of topics) if (failed.every(({ name }) => name !== topic)) this.#reported.ended(topic);
      const isComplete = failed.length === 0 && partitions.every((one) => this.map.leaderOf(one) !== undefined);
      this.#failures = isComplete ? 0 : this.#failures + 1;
      this.#lookForLeaderless(partitions.filter(({ topic }) => failed.every(({ name }) => name !== topic)));
      this.#reported.ended('metadata');
    } catch (error) {
      if (this.#isRunning) this.#failed(partitions, error);
    }
    this.#isAsking = false;
    this.#notBefore = performance.now() + (this.#failures === 0 ? REFRESH_MS : backoffMs(this.#failures));
    this.#parts.changed();
  }

  #failed(partitions: readonly DirectPartition[], error: unknown): void {
    this.#failures++;
    this.#isWanted = true;
    const message = `no broker says who leads the partitions: ${textOf(error)}`;
    for (const owned of partitions) if (this.map.leaderOf(owned) === undefined) owned.failed(message, true);
    if (this.#failures < QUIET_FAILURES) return;
    const { brokers } = this.#parts.options;
    this.#reported.begins('metadata', new ConnectionError(message, { brokers, cause: error }));
  }

  #lookForLeaderless(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      const name = `${topic}/${partition}`;
      if (this.map.leaderOf({ topic, partition }) !== undefined) this.#reported.ended(name);
      else if (this.#failures >= QUIET_FAILURES)
        this.#reported.begins(name, new PollError(`${name}: it has no leader`, { retriable: true }));
    }
  }

  #topicFailed({ name, errorCode }: TopicMetadata): void {
    if (errorCode === TOPIC_REFUSED) {
      this.#reported.begins(name, topicRefused('DESCRIBE', [name], undefined));
    } else if (errorCode === UNKNOWN_TOPIC) {
      this.map.forgetTopic(name);
      const message = `${name}: the topic is not there (any more)`;
      this.#reported.begins(name, new PollError(message, { retriable: true }));
    } else {
      const message = `${name}: no broker says who leads it (${errorCode})`;
      this.#reported.begins(name, new PollError(message, { retriable: true }));
    }
  }
}

/** What an error says, and what was behind it. */
export function textOf(error: unknown): string {
  const { message, cause } = toError(error);
  return cause instanceof Error ? `${message} ${cause.message}` : message;
}
