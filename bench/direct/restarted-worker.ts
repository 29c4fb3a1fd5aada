import { setTimeout as sleep } from 'node:timers/promises';
import { type KafkaRecord, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';

const LOOK_MS = 50;
const WAIT_MS = 60_000;
/** What has not come by then does not come. */
const SILENT_MS = 10_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** What became of the second worker. */
export interface Restarted {
  /** The error that ended it, or undefined. */
  readonly error: Error | undefined;
  readonly handled: number;
  readonly firstHandled: number | undefined;
}

/** A worker that handles, commits and stops, and another one that goes on from there when something has become of the log meanwhile. */
export class RestartedWorker {
  readonly #brokers: readonly string[];
  readonly #topic: string;
  readonly #groupId: string;

  constructor(brokers: readonly string[], topic: string, groupId: string) {
    this.#brokers = brokers;
    this.#topic = topic;
    this.#groupId = groupId;
  }

  /** Handles so many records, and stops. */
  async first(reader: 'direct' | 'librdkafka', records: number, signal: AbortSignal): Promise<void> {
    let handled = 0;
    const worker = this.#worker(reader, () => void handled++);
    await worker.start();
    try {
      for (const deadline = Date.now() + WAIT_MS; handled < records; await sleep(LOOK_MS)) {
        signal.throwIfAborted();
        if (Date.now() > deadline) throw new Error(`a worker has handled ${handled} of ${records} records`);
      }
    } catch (error) {
      await worker.stop();
      throw error;
    }
    const { error } = await worker.stop();
    if (error !== undefined) throw error;
  }

  /** Goes on by itself until it fails, or nothing more comes. */
  async second(reader: 'direct' | 'librdkafka', signal: AbortSignal): Promise<Restarted> {
    const offsets: number[] = [];
    const worker = this.#worker(reader, ({ offset }) => void offsets.push(offset));
    // Its failure is what is looked for.
    worker.finished.catch(() => {});
    await worker.start();
    for (const until = Date.now() + SILENT_MS; worker.state === 'running' && Date.now() < until; await sleep(LOOK_MS))
      if (signal.aborted) break;
    const { error } = await worker.stop();
    signal.throwIfAborted();
    return { error, handled: offsets.length, firstHandled: offsets[0] };
  }

  #worker(reader: 'direct' | 'librdkafka', handler: (record: KafkaRecord) => void): Worker {
    return new Worker({
      kafka: confluentKafka({ brokers: [...this.#brokers], reader }),
      ...{ groupId: this.#groupId, topics: this.#topic, startFrom: 'earliest', logger: quiet, handler },
    });
  }
}
