import { join, resolve } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { type Database, exactlyOnceMigration, type PostgresClient, pglite, postgres } from '@kafka-worker/strategies';
import pg from 'pg';
import { UsageError } from '../../scripts/command-line.ts';
import type { ExampleArguments } from '../harness/example-arguments.ts';
import { readTopic } from '../harness/read-topic.ts';
import type { ExampleSetup } from '../harness/run-example.ts';
import { type Audit, audit } from './audit.ts';
import { balancesAfter, bookingsOf } from './booking.ts';
import { exclusiveDirectory } from './exclusive-directory.ts';

/** What the handler does with its transaction, of either database. */
export interface Queries {
  query(sql: string, parameters?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** A database with accounts in it. */
export interface Bank {
  readonly database: Database<Queries>;
  /** The accounts at this moment, compared with the payments that are done at this moment. */
  readonly audit: () => Promise<Audit>;
  readonly close: () => Promise<void>;
}

/** More than `perKey({ concurrency: 10 })` has calls at once. */
const CONNECTIONS = 20;
const CONNECT_TIMEOUT_MS = 10_000;

/** Each group that handles payments is a bank of its own. */
const accounts = `
  CREATE SCHEMA IF NOT EXISTS example_10;
  CREATE TABLE IF NOT EXISTS example_10.accounts (
    bank text NOT NULL,
    id text NOT NULL,
    balance bigint NOT NULL,
    PRIMARY KEY (bank, id)
  );`;

/**
 * Balances, and what the delivery's own tables say is done, in one statement: they were committed together, so they fit together at any moment,
 * while workers run and after each of them was killed.
 */
const snapshot = `
  SELECT
    (SELECT json_agg(json_build_array(id, balance)) FROM example_10.accounts WHERE bank = $1) AS balances,
    (SELECT json_agg(json_build_array(partition, next_offset)) FROM kafka_worker.partition_offsets
      WHERE group_id = $1 AND topic = $2) AS next,
    (SELECT json_agg(json_build_array(partition, finished_offset)) FROM kafka_worker.finished_offsets
      WHERE group_id = $1 AND topic = $2) AS finished`;

interface Snapshot {
  readonly balances: readonly (readonly [string, number])[] | null;
  readonly next: readonly (readonly [number, number])[] | null;
  readonly finished: readonly (readonly [number, number])[] | null;
}

/** The PostgreSQL that `--postgres` names, or PGlite, in the directory that `--data` names, or in memory. */
export async function openBank(
  { kafka, groupId, topics }: Omit<ExampleSetup, 'plugins'>,
  where: Pick<ExampleArguments, 'postgres' | 'data'>,
): Promise<Bank> {
  const { database, run, close } = await openDatabase(where);
  try {
    await run(exactlyOnceMigration() + accounts);
  } catch (error) {
    await close();
    throw new UsageError(`--postgres: expected a database that can be used: ${messageOf(error)}`);
  }
  return {
    database,
    close,
    audit: async () => {
      const [topic = ''] = topics;
      const sql = (transaction: Queries) => database.query(transaction, snapshot, [groupId, topic]);
      const [row] = (await database.transaction(sql)) as unknown as readonly Snapshot[];
      const next = new Map(row?.next);
      const finished = new Set(row?.finished?.map(String));
      const done = (await readTopic(kafka, topic)).filter(
        ({ partition, offset }) => offset < (next.get(partition) ?? 0) || finished.has(`${partition},${offset}`),
      );
      return audit(new Map(row?.balances), balancesAfter(done.flatMap(bookingsOf)));
    },
  };
}

interface OpenDatabase {
  readonly database: Database<Queries>;
  /** Several statements at once. */
  readonly run: (sql: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

async function openDatabase({
  postgres: url,
  data,
}: Pick<ExampleArguments, 'postgres' | 'data'>): Promise<OpenDatabase> {
  if (url !== undefined) {
    const pool = new pg.Pool({
      ...{ connectionString: url, max: CONNECTIONS, connectionTimeoutMillis: CONNECT_TIMEOUT_MS },
    });
    // A connection that breaks while nobody uses it is replaced by the pool.
    pool.on('error', () => {});
    return { database: postgres<PostgresClient>(pool), run: (sql) => pool.query(sql), close: () => pool.end() };
  }
  if (data === undefined) return onPGlite(await inMemory());
  const directory = await exclusiveDirectory(resolve(data));
  try {
    const { close, ...rest } = onPGlite(await PGlite.create(join(resolve(data), 'pglite')));
    const closeAndRelease = async (): Promise<void> => {
      try {
        await close();
      } finally {
        await directory.release();
      }
    };
    return { ...rest, close: closeAndRelease };
  } catch (error) {
    await directory.release();
    throw new UsageError(`--data: expected a directory that is new, or of an earlier run: ${messageOf(error)}`);
  }
}

let untouched: Promise<File | Blob> | undefined;

/** A database of its own each time. Making one takes PGlite seconds: the first is copied while it is empty, and the next ones start from that. */
async function inMemory(): Promise<PGlite> {
  if (untouched !== undefined) return PGlite.create({ dataDir: 'memory://', loadDataDir: await untouched });
  const first = PGlite.create('memory://');
  untouched = first.then((db) => db.dumpDataDir('none'));
  await untouched;
  return first;
}

function onPGlite(db: PGlite): OpenDatabase {
  return { database: pglite<Queries>(db), run: (sql) => db.exec(sql), close: () => db.close() };
}

/** A connection that is refused on each address of a name has no message but a code. */
function messageOf(error: unknown): string {
  const { message, code } = error as Error & { readonly code?: string };
  return message === '' ? String(code) : message;
}
