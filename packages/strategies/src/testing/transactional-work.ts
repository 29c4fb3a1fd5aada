import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { type KafkaConsumer, type Logger, systemClock, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { exactlyOnce, perKey } from '../index.ts';

const PARTITIONS = 2;
const KEYS = 14;
const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const clients = { clock: systemClock, logger: quiet };

export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 90_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(10);
  }
}

/** A worker under exactlyOnce that copies numbers, and what it has called handlers for. */
export interface CopyingWorker {
  readonly worker: Worker;
  readonly calls: string[];
}

/** Numbers on a real broker that workers copy in transactions, and everything that a reader of the copies sees. */
export class TransactionalWork {
  readonly values: string[] = [];
  readonly records: number;
  readonly groupId: string = `g-${randomUUID()}`;
  readonly #topic = `in-${randomUUID()}`;
  readonly #output = `out-${randomUUID()}`;
  readonly #brokers: readonly string[];
  readonly #closing: (() => Promise<unknown>)[] = [];

  private constructor(brokers: readonly string[], records: number) {
    this.#brokers = brokers;
    this.records = records;
  }

  static async prepare(brokers: readonly string[], records: number): Promise<TransactionalWork> {
    const work = new TransactionalWork(brokers, records);
    await work.#fill();
    return work;
  }

  /** @param brokers to go through */
  async start(
    brokers: readonly string[] = this.#brokers,
    logger: Logger = quiet,
    transactionTimeoutMs = 3_000,
  ): Promise<CopyingWorker> {
    const calls: string[] = [];
    const worker = new Worker({
      kafka: confluentKafka({ brokers }),
      ...{ groupId: this.groupId, topics: this.#topic, logger, commit: { everyMs: 20 } },
      concurrency: perKey({ concurrency: 10 }),
      delivery: exactlyOnce({ transactionalIdPrefix: this.groupId, transactionTimeoutMs }),
      // So little at once that there are many transactions, and little is handled while none can be committed.
      limits: { inFlightRecords: 100, inFlightBytes: 40_000 },
      handler: async ({ partition, value, key }, { send }) => {
        calls.push(String(value));
        send({ topic: this.#output, partition, key, value });
        await sleep(Math.random() * 4);
      },
    });
    worker.finished.catch(() => {});
    this.#closing.push(() => worker.stop());
    await worker.start();
    return { worker, calls };
  }

  /** Waits until every copy is there, and a little longer for what must not be: each once, in order per key. */
  async expectExactlyOnce(): Promise<void> {
    await until('every output is there', () => this.values.length >= this.records);
    await sleep(1_000);
    expect(this.values.length).toBe(this.records);
    for (let key = 0; key < KEYS; key++) {
      const expected = Array.from({ length: this.records }, (_, i) => i).filter((i) => i % KEYS === key);
      expect(this.values.map(Number).filter((i) => i % KEYS === key)).toEqual(expected);
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
  }

  async #fill(): Promise<void> {
    const cluster = confluentKafka({ brokers: this.#brokers });
    const [admin, producer] = [cluster.admin(clients), cluster.producer(clients)];
    const reader = cluster.consumer({ ...clients, groupId: `r-${randomUUID()}`, groupProtocol: 'classic' });
    await Promise.all([admin, producer, reader].map((client) => client.connect({ timeoutMs: 20_000 })));
    for (const name of [this.#topic, this.#output]) await admin.createTopic(name, { partitions: PARTITIONS });
    const messages = Array.from({ length: this.records }, (_, i) => ({
      ...{ topic: this.#topic, partition: i % PARTITIONS, key: `${i % KEYS}`, value: `${i}` },
    }));
    await Promise.all(messages.map((message) => producer.send(message)));
    await Promise.all([admin.close(), producer.close(5_000)]);
    let isOver = false;
    reader.subscribe([this.#output]);
    const reading = this.#read(reader, () => isOver);
    this.#closing.push(async () => {
      isOver = true;
      await reading;
      await reader.close();
    });
  }

  /** As any consumer of the outputs does. */
  async #read(consumer: KafkaConsumer, isOver: () => boolean): Promise<void> {
    const next = new Map<number, number>();
    while (!isOver()) {
      const poll = await consumer.poll(500, 100);
      for (const { type, partitions } of poll.events) {
        if (type === 'assigned')
          consumer.assign(partitions.map((one) => ({ ...one, offset: next.get(one.partition) ?? 0 })));
        else consumer.release(partitions);
      }
      for (const { partition, offset, value } of poll.records) {
        // It may be assigned anew when brokers come back.
        if (offset < (next.get(partition) ?? 0)) continue;
        next.set(partition, offset + 1);
        this.values.push(String(value));
      }
    }
  }
}
