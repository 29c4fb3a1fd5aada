import type { DirectLibrary } from '../confluent/direct/direct-library.ts';
import { LibrdkafkaReader } from '../confluent/librdkafka-reader.ts';
import { TwoReaders } from '../confluent/two-readers.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { NextOffset, ReceivedRecord } from '../record.ts';
import { NativeLog } from './native-log.ts';
import type { AskedPartition, ScriptedAnswer, ScriptedBroker } from './scripted-broker.ts';
import { plainRecord, writeBatch } from './written-batch.ts';

/** The topic's name at the scripted broker. */
const topic = 't';
const BATCHES = 3;
const AT_END_MS = 5;

/** A log of single records up to `end`, whose `old` offsets hold messages of a format that only librdkafka reads. */
export function logWithOldMessages(end: number, old: (partition: number, offset: number) => boolean) {
  return async (asked: readonly AskedPartition[]): Promise<ScriptedAnswer> => {
    if (asked.every(({ offset }) => offset >= end)) await new Promise((resolve) => setTimeout(resolve, AT_END_MS));
    return {
      partitions: asked.map(({ partition, offset }) => {
        const offsets = Array.from({ length: Math.max(0, Math.min(BATCHES, end - offset)) }, (_, i) => offset + i);
        const records = offsets.map((at) =>
          old(partition, at)
            ? oldMessage(at)
            : writeBatch({ baseOffset: at, leaderEpoch: 5, records: [plainRecord(0, `v${at}`)] }),
        );
        return { partition, end, records: Buffer.concat(records) };
      }),
    };
  };
}

/** Both readers, one in front of the other, on a scripted broker and a scripted librdkafka with the same logs. */
export class TwoReadersUnderTest {
  readonly native: NativeLog;
  readonly reader: TwoReaders;
  readonly errors: KafkaWorkerError[] = [];
  /** What the log says. */
  readonly told: { readonly message: string; readonly partition: number; readonly offset: number }[] = [];
  changed: () => void = () => {};

  constructor(broker: ScriptedBroker, library: DirectLibrary, end: number) {
    this.native = new NativeLog(end);
    const native = this.native.client;
    const changed = (): void => this.changed();
    const librdkafka = new LibrdkafkaReader(native, { changed, failed: () => {} });
    const options = {
      ...{ brokers: [`127.0.0.1:${broker.port}`], clientId: 'test', rack: '', isReadCommitted: true },
      ...{ maxWaitMs: 20, minBytes: 1, responseBytes: 1 << 20, partitionBytes: 1 << 17 },
      connection: { connectTimeout: 1_000, requestTimeout: 1_000 },
    };
    const warn = (message: string, fields: object = {}): void =>
      void this.told.push({ message, ...(fields as { partition: number; offset: number }) });
    this.reader = new TwoReaders({
      ...{ native, librdkafka, library, options, changed, logger: { debug() {}, info() {}, warn, error: warn } },
      report: (error) => this.errors.push(error),
      rangeOf: () => Promise.resolve({ earliest: 0, latest: end }),
      moveNatively: async (starts) => {
        for (const start of starts)
          await new Promise<void>((resolve, reject) =>
            native.seek({ ...start }, 1_000, (error) => (error ? reject(error) : resolve())),
          );
      },
    });
    this.reader.start();
  }

  /** As a member of a group that is given a partition. */
  assign(partition: number, offset: number): void {
    this.#take(partition, offset);
    this.reader.started([{ topic, partition }]);
  }

  /** The same, while librdkafka has records at once, and a turn of its queue begins before it is paused. */
  assignInTurn(partition: number, offset: number): void {
    this.#take(partition, offset);
    this.reader.signal();
    this.reader.started([{ topic, partition }]);
  }

  /** The same, while librdkafka is paused on it only once that is over. */
  async assignSlowly(partition: number, offset: number, pause: () => Promise<void>): Promise<void> {
    this.#take(partition, offset);
    this.reader.signal();
    await pause();
    this.reader.started([{ topic, partition }]);
  }

  withhold(partition: number): void {
    this.reader.withhold([{ topic, partition }]);
  }

  /** As a member that gives it back. */
  release(partition: number): void {
    this.reader.disown([{ topic, partition }]);
    this.native.incrementalUnassign([{ topic, partition }]);
  }

  take(max: number): { records: readonly ReceivedRecord[]; positions: readonly NextOffset[] } {
    return this.reader.take(max);
  }

  seek(partition: number, offset: number): Promise<void> {
    const move = (starts: readonly NextOffset[]): Promise<void> =>
      new Promise((resolve, reject) =>
        this.native.seek({ topic, partition, offset: starts[0]?.offset ?? -1 }, 1_000, (error) =>
          error ? reject(error) : resolve(),
        ),
      );
    return this.reader.seek([{ topic, partition, offset }], move);
  }

  async stop(): Promise<void> {
    await this.reader.stop();
  }

  #take(partition: number, offset: number): void {
    this.reader.own([{ topic, partition, offset }]);
    this.native.incrementalAssign([{ topic, partition, offset }]);
  }
}

/** A whole one, of format 1. */
export function oldMessage(offset: number): Buffer {
  const message = Buffer.alloc(12 + 22 + 1);
  message.writeBigInt64BE(BigInt(offset), 0);
  message.writeInt32BE(message.length - 12, 8);
  message.writeInt8(1, 16);
  message.writeInt32BE(-1, 26);
  message.writeInt32BE(1, 30);
  return message;
}
