import type { KafkaProducer, Logger } from '@kafka-worker/core';
import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { machineNow } from './machine-now.ts';

/** A record that the broker has acknowledged. */
export interface WrittenRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly sequence: number;
  /** When it was acknowledged, on the machine's clock. */
  readonly at: number;
}

export interface LoadOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  /** Or how many from now on, after so many. */
  readonly recordsPerSecond: number | ((sent: number) => number);
  /** Called at each acknowledgement. */
  readonly written: (record: WrittenRecord) => void;
}

const PRODUCERS = 2;
const KEYS_PER_PARTITION = 10;
const TICK_MS = 20;
/** Nobody waits for a record longer; what is not acknowledged by then is in the log or not. */
const FLUSH_MS = 30_000;
const padding = ' '.padEnd(100, 'x');
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Producers that write keyed records at a given rate. A key is written by one of them only, each record with the next number of its key. */
export class Load {
  /** What was refused or never acknowledged, in the log or not; or acknowledged, and where it is in the log is not known. */
  failed = 0;
  readonly #options: LoadOptions;
  readonly #producers: readonly KafkaProducer[];
  readonly #sequences = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;
  #due = 0;
  #tickedAt = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    const kafka = confluentKafka({ brokers: options.brokers.split(',') });
    this.#producers = Array.from({ length: PRODUCERS }, () => kafka.producer({ clock: systemClock, logger: quiet }));
  }

  async start(): Promise<void> {
    await Promise.all(this.#producers.map((producer) => producer.connect({ timeoutMs: 30_000 })));
    this.#tickedAt = machineNow();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Writes nothing more; resolves when everything is acknowledged or given up. */
  async stop(timeoutMs: number = FLUSH_MS): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#producers.map((producer) => producer.close(timeoutMs)));
  }

  #tick(): void {
    const { recordsPerSecond } = this.#options;
    const now = machineNow();
    const rate = typeof recordsPerSecond === 'number' ? recordsPerSecond : recordsPerSecond(this.#sent);
    this.#due += ((now - this.#tickedAt) / 1_000) * rate;
    this.#tickedAt = now;
    while (this.#sent < this.#due) this.#send(this.#sent++);
  }

  #send(number: number): void {
    const { topic, partitions } = this.#options;
    const partition = number % partitions;
    const key = `${partition}-${Math.floor(number / partitions) % KEYS_PER_PARTITION}`;
    const sequence = this.#sequences.get(key) ?? 0;
    this.#sequences.set(key, sequence + 1);
    const producer = this.#producers[partition % PRODUCERS] as KafkaProducer;
    producer.send({ topic, partition, key, value: `${sequence}${padding}` }).then(
      ({ offset }) => {
        if (offset === undefined) this.failed++;
        else this.#options.written({ partition, offset, key, sequence, at: machineNow() });
      },
      () => this.failed++,
    );
  }
}
