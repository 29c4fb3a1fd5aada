import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isKafkaWorkerError,
  type KafkaConsumer,
  type Logger,
  type StartOffset,
  systemClock,
  type TopicPartition,
} from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { NumberedRecords } from '../faults/numbered-records.ts';
import type { FaultedWorld } from '../faults/run-faults.ts';
import { OutputTally, type OutputVerdict } from './output-tally.ts';

/** What the broker takes as an output. Less than what the client itself would refuse. */
export const OUTPUT_LIMIT_BYTES = 20_000;
export const TRANSACTION_TIMEOUT_MS = 3_000;

const PARTITIONS = 6;
/** It has to get over what a killed worker has left open, and over a broker that has only just come back. */
const END_MS = 60_000;
const KNOWN_MS = 3_000;
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const clients = { clock: systemClock, logger: quiet };

/** The records whose output the broker refuses, and which have to be dead letters. Few, for each costs some transactions that are aborted. */
export function isUnwritable(record: number): boolean {
  return record % 2_003 === 200;
}

/** A topic whose records are numbered by key, and a reader with read_committed of what workers make of them. */
export class KafkaWorld implements FaultedWorld<OutputVerdict> {
  readonly outputTopic: string = `outputs-${randomUUID()}`;
  readonly deadLetterTopic: string = `dead-letters-${randomUUID()}`;
  readonly #brokers: readonly string[];
  readonly input: NumberedRecords;
  readonly #tally = new OutputTally(NumberedRecords.keys, isUnwritable);
  readonly #reader: KafkaConsumer;
  /** Up to where everything is read, by topic and partition. */
  readonly #next = new Map<string, number>();
  #isOver = false;
  #reading: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(brokers: string, input: NumberedRecords) {
    this.#brokers = brokers.split(',');
    this.input = input;
    // The isolation of readers is read_committed unless it is set.
    this.#reader = confluentKafka({ brokers: this.#brokers }).consumer({
      ...{ ...clients, groupId: `reader-${randomUUID()}`, groupProtocol: 'classic' },
    });
  }

  static async open(brokers: string, replicas: number): Promise<KafkaWorld> {
    const input = await NumberedRecords.create(brokers, `exactly-once-kafka-${randomUUID()}`);
    const world = new KafkaWorld(brokers, input);
    const admin = confluentKafka({ brokers: world.#brokers }).admin(clients);
    await Promise.all([admin, world.#reader].map((client) => client.connect({ timeoutMs: 30_000 })));
    // A record is on two brokers before it is acknowledged, where there are so many.
    const config = { 'min.insync.replicas': String(Math.min(2, replicas)) };
    const limited = { ...config, 'max.message.bytes': String(OUTPUT_LIMIT_BYTES) };
    await admin.createTopic(world.outputTopic, { partitions: PARTITIONS, config: limited });
    await admin.createTopic(world.deadLetterTopic, { partitions: PARTITIONS, config });
    await admin.close();
    // Not every broker knows of them yet, and a group that asks one which does not goes without.
    await sleep(KNOWN_MS);
    world.#startReading();
    return world;
  }

  /** How many different records have been read: what is there twice hides none that is not there. */
  written(): Promise<number> {
    return this.#failure === undefined ? Promise.resolve(this.#tally.distinct) : Promise.reject(this.#failure);
  }

  /** When everything is read, up to where the logs end: no transaction is open any more, and none is overlooked. */
  async verdict(): Promise<OutputVerdict> {
    const partitions = [this.outputTopic, this.deadLetterTopic].flatMap((topic) =>
      Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition })),
    );
    const deadline = Date.now() + END_MS;
    const ends = await this.#ends(partitions, deadline);
    const unread = () => ends.filter((end) => (this.#next.get(nameOf(end)) ?? 0) < end.offset);
    while (unread().length > 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (Date.now() > deadline)
        throw new Error(`the reader did not get to the end of ${unread().map(nameOf).join(', ')} within ${END_MS} ms`);
      await sleep(50);
    }
    return this.#tally.verdict(this.input.produced);
  }

  /** A broker that has only just come back, or leads no more, says so once. */
  async #ends(partitions: readonly TopicPartition[], deadline: number): Promise<readonly StartOffset[]> {
    for (;;) {
      try {
        return await this.#reader.offsetsFor(partitions, 'high-watermark');
      } catch (thrown) {
        if (!isKafkaWorkerError(thrown) || !thrown.retriable || Date.now() > deadline) throw thrown;
        await sleep(500);
      }
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#reading;
    await this.#reader.close();
    await this.input.close();
  }

  #startReading(): void {
    this.#reader.subscribe([this.outputTopic, this.deadLetterTopic]);
    this.#reading = this.#read().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    });
  }

  async #read(): Promise<void> {
    while (!this.#isOver) {
      const poll = await this.#reader.poll(1_000, 100);
      for (const { type, partitions } of poll.events) {
        if (type === 'assigned')
          this.#reader.assign(partitions.map((one) => ({ ...one, offset: this.#next.get(nameOf(one)) ?? 0 })));
        else this.#reader.release(partitions);
      }
      for (const { topic, partition, offset, key, value } of poll.records) {
        const name = nameOf({ topic, partition });
        // It may be assigned anew when the broker comes back.
        if (offset < (this.#next.get(name) ?? 0)) continue;
        this.#next.set(name, offset + 1);
        const where = topic === this.outputTopic ? 'outputs' : 'dead-letters';
        this.#tally.add(where, NumberedRecords.numberOf(key, value));
      }
      for (const position of poll.positions)
        this.#next.set(nameOf(position), Math.max(position.offset, this.#next.get(nameOf(position)) ?? 0));
      const fatal = poll.errors.find(({ retriable }) => !retriable);
      if (fatal !== undefined) throw fatal;
    }
  }
}

function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}
