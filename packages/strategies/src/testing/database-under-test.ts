import { randomUUID } from 'node:crypto';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import type { Database } from '../delivery/database/database.ts';
import { exactlyOnceMigration } from '../delivery/database/exactly-once-migration.ts';
import { pglite } from '../delivery/database/pglite.ts';
import { postgres } from '../delivery/database/postgres.ts';

/** What a handler of a test does with either transaction. */
export interface AnyTransaction {
  query(sql: string, parameters?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** A database with the tables of the delivery, in a schema of its own, and one that handlers write to. */
export interface DatabaseUnderTest {
  readonly database: Database<AnyTransaction>;
  readonly schema: string;
  /** Whether transactions run at the same time. */
  readonly isConcurrent: boolean;
  /** Outside of any worker. */
  readonly query: (sql: string, parameters?: unknown[]) => Promise<readonly Record<string, unknown>[]>;
  readonly close: () => Promise<void>;
}

export async function openPGlite(): Promise<DatabaseUnderTest> {
  const db = await PGlite.create();
  const schema = newSchema();
  await db.exec(exactlyOnceMigration(schema));
  await db.exec(effectsOf(schema));
  return {
    database: pglite(db),
    schema,
    isConcurrent: false,
    query: async (sql, parameters = []) => (await db.query<Record<string, unknown>>(sql, parameters)).rows,
    close: () => db.close(),
  };
}

/** `options` are those of its sessions, such as `-c default_transaction_isolation=serializable`. */
export async function openPostgres(connectionString: string, options?: string): Promise<DatabaseUnderTest> {
  const pool = new pg.Pool({ connectionString, max: 20, connectionTimeoutMillis: 10_000, ...(options && { options }) });
  const schema = newSchema();
  await pool.query(exactlyOnceMigration(schema));
  await pool.query(effectsOf(schema));
  return {
    database: postgres(pool) as unknown as Database<AnyTransaction>,
    schema,
    isConcurrent: true,
    query: async (sql, parameters = []) => (await pool.query<Record<string, unknown>>(sql, parameters)).rows,
    close: async () => {
      await pool.query(`DROP SCHEMA ${schema} CASCADE`);
      await pool.end();
    },
  };
}

function newSchema(): string {
  return `exactly_once_${randomUUID().replaceAll('-', '')}`;
}

/** No key, so that what is written twice is there twice. */
function effectsOf(schema: string): string {
  return `CREATE TABLE ${schema}.effects (group_id text, partition integer, record_offset bigint, writer text)`;
}
