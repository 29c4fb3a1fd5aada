// A worker that writes to PostgreSQL, in a process of its own. Argument: a DatabaseWorkerOptions as JSON. Says what it does in lines, and ends when its
// starter does.

import { setTimeout as sleep } from 'node:timers/promises';
import { runUntilSignal, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import {
  type Database,
  exactlyOnceInDatabase,
  perKey,
  perPartition,
  postgres,
  retry,
  stop,
} from '@kafka-worker/strategies';
import pg from 'pg';
import { sessionProperties } from '../faults/process-faults.ts';
import { say, serveStarter } from '../faults/starter.ts';

/** What a worker process is told. */
export interface DatabaseWorkerOptions {
  readonly brokers: string;
  /** Who fetches its records. */
  readonly reader: 'direct' | 'librdkafka';
  readonly postgresUrl: string;
  readonly schema: string;
  readonly topic: string;
  readonly groupId: string;
  readonly name: string;
  readonly strategy: 'perPartition' | 'perKey';
  readonly idleInTransactionTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Of its handler calls, those that throw when they have written. */
  readonly abortedShare: number;
  /** Where it says so and waits, in the transaction of this record: while the handler runs, or between its last statement and its commit. */
  readonly holdAt?: { readonly offset: number; readonly where: 'handler' | 'stored'; readonly forMs: number };
}

/** What a handler writes, each value into a row: where it came from, and what of its key was there before. */
const WRITE = (schema: string): string => `WITH before AS (SELECT last FROM ${schema}.keys WHERE key = $1 FOR UPDATE),
  now AS (UPDATE ${schema}.keys k SET last = $2 FROM before WHERE k.key = $1)
  INSERT INTO ${schema}.effects (key, sequence, previous, record_partition, record_offset, writer)
  SELECT $1, $2, last, $3, $4, $5 FROM before`;

const options = JSON.parse(process.argv[2] ?? '') as DatabaseWorkerOptions;
const { schema, name, holdAt } = options;

const pool = new pg.Pool({
  connectionString: options.postgresUrl,
  max: 20,
  connectionTimeoutMillis: 10_000,
  application_name: name,
});
pool.on('error', () => {});

const hold = async (offset: number, where: 'handler' | 'stored'): Promise<void> => {
  if (holdAt?.offset !== offset || holdAt.where !== where) return;
  say(`holding ${where}`);
  await sleep(holdAt.forMs);
};

const plain = postgres<pg.PoolClient>(pool);
const database: Database<pg.PoolClient> = {
  transaction: (run) => plain.transaction(run),
  async query(transaction, sql, parameters) {
    const rows = await plain.query(transaction, sql, parameters);
    // The offset behind the record that it stores.
    if (sql.startsWith('WITH owner')) await hold(Number(parameters[5]) - 1, 'stored');
    return rows;
  },
};

const worker = new Worker({
  kafka: confluentKafka({
    brokers: options.brokers.split(','),
    reader: options.reader,
    librdkafka: sessionProperties,
  }),
  ...{ groupId: options.groupId, topics: options.topic, name, connectTimeoutMs: 60_000 },
  concurrency: options.strategy === 'perKey' ? perKey({ concurrency: 8 }) : perPartition(),
  delivery: exactlyOnceInDatabase({
    ...{ database, schema, lockTimeoutMs: options.lockTimeoutMs },
    idleInTransactionTimeoutMs: options.idleInTransactionTimeoutMs,
  }),
  onFailure: retry({ maxAttempts: 10, backoff: { initialMs: 10, maxMs: 100 }, then: stop() }),
  // So little at once that a kill finds work that is not done.
  limits: { inFlightRecords: 400 },
  handler: async ({ partition, offset, key, value }, { transaction, attempt }) => {
    await transaction.query(WRITE(schema), [String(key), Number(String(value)), partition, offset, name]);
    await hold(offset, 'handler');
    if (attempt < 3 && Math.random() < options.abortedShare) {
      say('aborted');
      throw new Error('it was written, and is not to stay');
    }
  },
});
serveStarter(worker);
let said = '';
setInterval(() => {
  const reason = worker.health().reasons.find((one) => one.includes('has been waiting for'));
  if (reason !== undefined && reason.replace(/[\d.]+ s/, '') !== said) say(`health ${reason}`);
  said = (reason ?? '').replace(/[\d.]+ s/, '');
}, 100).unref();
await runUntilSignal(worker, { onShutdown: () => pool.end() });
