import { setTimeout as sleep } from 'node:timers/promises';
import { type TopicPartition, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { perPartition } from '@kafka-worker/strategies';

/** How long partitions are paused, longer than what is written meanwhile fits into the buffer of a reader; and how long they are watched when they have gone on. */
const PAUSE_MS = 3_000;
const WATCH_MS = 200;

/** Nothing that is waited for takes longer. */
const BOUND_MS = 30_000;
const LOOK_MS = 2;

/** What a pause did to the partitions that were paused; of several, to the one that fared worst. In milliseconds since `resume()`. */
export interface PausedReading {
  /** Until its next record was handled, which may have been fetched before the pause. */
  readonly nextMs: number;
  /** Until everything was handled that had been written before. */
  readonly caughtUpMs: number;
  /** The longest time without a record of the partitions that were not paused; undefined where there were none. */
  readonly othersGapMs: number | undefined;
}

interface PausedRunOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly reader: 'librdkafka' | 'direct';
  /** The offset of the last record that was written to a partition; undefined for none. */
  readonly lastWritten: (partition: number) => number | undefined;
}

interface Handled {
  readonly offset: number;
  readonly at: number;
}

/** A worker that follows what is written to a topic, and whose partitions can be paused. */
export class PausedRun {
  readonly reader: PausedRunOptions['reader'];
  readonly #options: PausedRunOptions;
  readonly #worker: Worker;
  readonly #partitions: readonly TopicPartition[];
  /** What was handled of each partition since the last pause. */
  readonly #handled: Handled[][];

  private constructor(options: PausedRunOptions) {
    const { brokers, topic, partitions, reader } = options;
    this.reader = reader;
    this.#options = options;
    this.#partitions = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    this.#handled = this.#partitions.map(() => []);
    this.#worker = new Worker({
      kafka: confluentKafka({ brokers: brokers.split(','), reader }),
      groupId: `pause-${reader}-${topic}`,
      topics: topic,
      concurrency: perPartition(),
      handler: ({ partition, offset }) => void this.#handled[partition]?.push({ offset, at: performance.now() }),
    });
  }

  /** Resolves when records of every partition come. */
  static async start(options: PausedRunOptions): Promise<PausedRun> {
    const run = new PausedRun(options);
    await run.#worker.start();
    await run.#until(() => run.#handled.every((handled) => handled.length > 0));
    return run;
  }

  /** Pauses so many of the partitions for three seconds. @throws Error when one of them does not go on */
  async pauseAndResume(count: number): Promise<PausedReading> {
    const paused = this.#partitions.slice(0, count);
    for (const handled of this.#handled) handled.length = 0;
    const pausedAt = performance.now();
    this.#worker.pause(paused);
    await sleep(PAUSE_MS);
    const resumedAt = performance.now();
    this.#worker.resume(paused);
    const written = paused.map(({ partition }) => this.#options.lastWritten(partition) ?? -1);
    const ofPaused = paused.map(({ partition }) => this.#handled[partition] ?? []);
    await this.#until(() => ofPaused.every((handled, i) => (handled.at(-1)?.offset ?? -1) >= (written[i] ?? 0)));
    await sleep(WATCH_MS);
    const when = (isMeant: (one: Handled, partition: number) => boolean): number =>
      Math.max(...ofPaused.map((handled, i) => (handled.find((one) => isMeant(one, i))?.at ?? resumedAt) - resumedAt));
    const gaps = this.#handled.slice(count).map((handled) => longestGap(pausedAt, handled));
    return {
      nextMs: when(({ at }) => at > resumedAt),
      caughtUpMs: when(({ offset }, i) => offset >= (written[i] ?? 0)),
      othersGapMs: gaps.length === 0 ? undefined : Math.max(...gaps),
    };
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  async #until(isTrue: () => boolean): Promise<void> {
    const end = performance.now() + BOUND_MS;
    while (!isTrue()) {
      if (performance.now() > end) throw new Error(`${this.reader}: not every partition goes on`);
      await sleep(LOOK_MS);
    }
  }
}

function longestGap(from: number, handled: readonly Handled[]): number {
  let last = from;
  let longest = 0;
  for (const { at } of handled) {
    longest = Math.max(longest, at - last);
    last = at;
  }
  return Math.max(longest, performance.now() - last);
}
