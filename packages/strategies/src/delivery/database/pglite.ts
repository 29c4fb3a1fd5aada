import { InvalidOptionError } from '@kafka-worker/core';
import type { Database } from './database.ts';

/** What is used of a transaction of the package `@electric-sql/pglite`. */
export interface PGliteTransaction {
  query(sql: string, parameters?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** What is used of a `PGlite` of the package `@electric-sql/pglite`. */
export interface PGliteDatabase<Transaction> {
  transaction<Result>(run: (transaction: Transaction) => Promise<Result>): Promise<Result>;
}

/**
 * PGlite, PostgreSQL inside this process, which stays yours: close it when the worker has stopped. It has one connection, so handler calls take turns,
 * whatever the concurrency says: for tests and examples.
 * @throws InvalidOptionError
 */
export function pglite<Transaction extends PGliteTransaction>(db: PGliteDatabase<Transaction>): Database<Transaction> {
  if (typeof (db as unknown as Record<string, unknown> | undefined)?.transaction !== 'function')
    throw new InvalidOptionError('pglite', 'a PGlite of the package @electric-sql/pglite', db);
  return {
    transaction: (run) => db.transaction(run),
    query: async (transaction, sql, parameters) =>
      (await transaction.query(sql, [...parameters])).rows as readonly Record<string, unknown>[],
  };
}
