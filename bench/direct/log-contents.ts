import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { TestClients } from '../../packages/core/src/testing/cluster-under-test.ts';
import { untilRead } from './until-read.ts';

export interface LogContentsOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Where each partition ends. */
  readonly ends: readonly number[];
  readonly signal: AbortSignal;
}

/** A record's key, and its number among those of its key. */
export interface LoggedRecord {
  readonly key: string;
  readonly sequence: number;
}

/** What stands at each offset of a topic's partitions, as librdkafka's reader finds it: it has nothing in common with the direct one. */
export class LogContents {
  readonly #partitions: readonly (readonly (LoggedRecord | undefined)[])[];

  private constructor(partitions: readonly (readonly LoggedRecord[])[]) {
    this.#partitions = partitions;
  }

  static async read({ brokers, topic, ends, signal }: LogContentsOptions): Promise<LogContents> {
    const cluster = confluentKafka({ brokers, reader: 'librdkafka' });
    const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
    try {
      const member = await clients.member([topic], { groupProtocol: 'consumer' });
      const partitions: LoggedRecord[][] = ends.map(() => []);
      const isRead = (): boolean => {
        for (const { partition, offset, key, value } of member.records.splice(0)) {
          const record = { key: String(key), sequence: Number.parseInt(String(value), 10) };
          (partitions[partition] as LoggedRecord[])[offset] = record;
        }
        return partitions.every(({ length }, partition) => length >= (ends[partition] ?? 0));
      };
      await untilRead(member, 'all of the log is read', isRead, signal);
      return new LogContents(partitions);
    } finally {
      await clients.close();
    }
  }

  at(partition: number, offset: number): LoggedRecord | undefined {
    return this.#partitions[partition]?.[offset];
  }

  /**
   * Where a record stands that stands at a smaller offset too, as `partition@offset`. When a leader moves, librdkafka's idempotent producer may write a batch a
   * second time, under a new epoch of its own: https://github.com/confluentinc/librdkafka/issues/4953
   */
  writtenTwice(): ReadonlySet<string> {
    const twice = new Set<string>();
    for (const [partition, records] of this.#partitions.entries()) {
      const seen = new Set<string>();
      for (const [offset, record] of records.entries()) {
        // Where there is none, whoever handled one is found out.
        if (record === undefined) continue;
        const name = `${record.key} ${record.sequence}`;
        if (seen.has(name)) twice.add(`${partition}@${offset}`);
        seen.add(name);
      }
    }
    return twice;
  }
}
