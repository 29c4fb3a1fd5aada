import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaRecord, Logger, WorkerOptions, WorkerSummary } from '@kafka-worker/core';
import { Worker } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import type { Database } from '../delivery/database/database.ts';
import { exactlyOnceInDatabase } from '../delivery/exactly-once-in-database.ts';
import { stop } from '../failure/stop.ts';
import type { AnyTransaction, DatabaseUnderTest } from './database-under-test.ts';

interface Gained {
  readonly transaction: AnyTransaction;
}
export type DatabaseWorkerOptions = Partial<WorkerOptions<Buffer | null, Buffer | null, Gained>>;
/** What a handler does before it writes. */
export type BeforeWrite = (record: KafkaRecord, transaction: AnyTransaction, attempt: number) => Promise<void> | void;

let groups = 0;
export function newGroup(): string {
  return `group-${++groups}`;
}

/**
 * A worker that writes one row for each record. It sees a Kafka of its own, with the same records as others: what they agree about, they agree about in
 * the database, so that two of them may both believe that they have a partition.
 */
export class DatabaseWorker {
  readonly kafka: FakeKafka;
  readonly calls: string[] = [];
  readonly warnings: string[] = [];
  readonly worker: Worker<Buffer | null, Buffer | null, Gained>;

  constructor(
    under: DatabaseUnderTest,
    counts: readonly number[],
    given: {
      readonly group: string;
      readonly name?: string;
      readonly before?: BeforeWrite;
      readonly options?: DatabaseWorkerOptions;
      readonly database?: Database<AnyTransaction>;
      readonly kafka?: FakeKafka;
      readonly lockTimeoutMs?: number;
      readonly idleInTransactionTimeoutMs?: number;
    },
  ) {
    const { group, name = 'a', before = () => {}, options = {}, database = under.database } = given;
    const { lockTimeoutMs = 300, idleInTransactionTimeoutMs = 60_000 } = given;
    this.kafka = given.kafka ?? fakeKafkaWith(counts);
    const warn = (message: string): void => void this.warnings.push(message);
    const logger: Logger = { debug() {}, info() {}, warn, error: warn };
    const handler = async (record: KafkaRecord, { transaction, attempt }: Gained & { readonly attempt: number }) => {
      this.calls.push(`${record.partition}@${record.offset}`);
      await before(record, transaction, attempt);
      await writeEffect(under, group, transaction, record, name);
    };
    this.worker = new Worker({
      ...{ kafka: this.kafka, groupId: group, topics: 't', clock: this.kafka.clock, logger, random: () => 0.5 },
      onFailure: stop(),
      delivery: exactlyOnceInDatabase({ database, schema: under.schema, lockTimeoutMs, idleInTransactionTimeoutMs }),
      ...(options.batchHandler === undefined && { handler }),
      ...options,
    } as WorkerOptions<Buffer | null, Buffer | null, Gained>);
    this.worker.finished.catch(() => {});
  }

  async start(): Promise<this> {
    const starting = this.worker.start();
    let isStarted = false;
    const started = (): void => {
      isStarted = true;
    };
    starting.then(started, started);
    await until([this], () => isStarted);
    await starting;
    return this;
  }

  async stop(): Promise<WorkerSummary> {
    let summary: WorkerSummary | undefined;
    void this.worker.stop().then((one) => {
      summary = one;
    });
    await until([this], () => summary !== undefined);
    return summary as WorkerSummary;
  }

  /** Until it has nothing left to do. */
  async idle(stepMs?: number): Promise<void> {
    const isIdle = (): boolean => {
      const { partitions, inFlightRecords } = this.worker.status();
      return partitions.length > 0 && inFlightRecords === 0 && partitions.every((one) => one.lag === 0);
    };
    await until([this], isIdle, stepMs);
  }
}

/** The one thing that a handler of these tests does. */
export async function writeEffect(
  { schema }: DatabaseUnderTest,
  group: string,
  transaction: AnyTransaction,
  { partition, offset }: KafkaRecord,
  writer = 'a',
): Promise<void> {
  const sql = `INSERT INTO ${schema}.effects VALUES ($1, $2, $3, $4)`;
  await transaction.query(sql, [group, partition, offset, writer]);
}

function fakeKafkaWith(counts: readonly number[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: counts.length } } });
  for (const [partition, count] of counts.entries())
    kafka.send(Array.from({ length: count }, (_, i) => ({ topic: 't', partition, key: `${i % 5}`, value: `${i}` })));
  return kafka;
}

/** Lets time pass until something is so, at most 20 s; the workers' time in steps, between which the database gets some of ours. */
export async function until(
  workers: readonly DatabaseWorker[],
  isSo: () => boolean | Promise<boolean>,
  stepMs = 10,
): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('it did not come to that within 20 s');
    for (const { kafka } of workers) await kafka.clock.advance(stepMs);
    await sleep(1);
  }
}

/** How often each record was written, as `partition@offset`, and where it was not once. */
export async function effectsOf(under: DatabaseUnderTest, group: string): Promise<ReadonlyMap<string, number>> {
  const rows = await under.query(
    `SELECT partition, record_offset::integer AS record_offset, count(*)::integer AS count
     FROM ${under.schema}.effects WHERE group_id = $1 GROUP BY partition, record_offset ORDER BY partition, record_offset`,
    [group],
  );
  return new Map(rows.map((row) => [`${String(row.partition)}@${String(row.record_offset)}`, Number(row.count)]));
}

/** What is lost or repeated, in words; empty when each record was written once. */
export function wrongIn(
  effects: ReadonlyMap<string, number>,
  counts: readonly number[],
  except: readonly string[] = [],
): string[] {
  const wanted = counts.flatMap((count, partition) => Array.from({ length: count }, (_, i) => `${partition}@${i}`));
  return [...new Set([...wanted, ...effects.keys()])].flatMap((name) => {
    const times = effects.get(name) ?? 0;
    const want = wanted.includes(name) && !except.includes(name) ? 1 : 0;
    return times === want ? [] : [`${name} was written ${times} times, not ${want}`];
  });
}

/** The rows of the delivery's own tables. */
export async function storedOf(
  under: DatabaseUnderTest,
  group: string,
): Promise<{ readonly next: readonly number[]; readonly finished: readonly string[] }> {
  const offsets = await under.query(
    `SELECT partition, next_offset::integer AS next FROM ${under.schema}.partition_offsets WHERE group_id = $1 ORDER BY partition`,
    [group],
  );
  const finished = await under.query(
    `SELECT partition, finished_offset::integer AS one FROM ${under.schema}.finished_offsets WHERE group_id = $1 ORDER BY 1, 2`,
    [group],
  );
  return {
    next: offsets.map((row) => Number(row.next)),
    finished: finished.map((row) => `${String(row.partition)}@${String(row.one)}`),
  };
}
