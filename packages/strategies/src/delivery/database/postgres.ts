import { InvalidOptionError } from '@kafka-worker/core';
import type { Database } from './database.ts';

/** What is used of a client of the package `pg`. */
export interface PostgresClient {
  query(
    sql: string,
    parameters?: unknown[],
  ): Promise<{ readonly rows: readonly Record<string, unknown>[]; readonly command?: string }>;
  release(error?: Error | boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** What is used of a `Pool` of the package `pg`. */
export interface PostgresPool<Client> {
  connect(): Promise<Client>;
}

/**
 * PostgreSQL, by a `Pool` of the package `pg` (8.11 or newer), which stays yours: close it when the worker has stopped. Each handler call that runs
 * takes one of its connections, and so does each partition that is being taken, so its `max` (10 by default) should be above the calls at once.
 * `context.transaction` is the pool's client for as long as the handler runs.
 * @throws InvalidOptionError
 */
export function postgres<Client extends PostgresClient>(pool: PostgresPool<Client>): Database<Client> {
  if (typeof (pool as unknown as Record<string, unknown> | undefined)?.connect !== 'function')
    throw new InvalidOptionError('postgres', 'a Pool of the package pg', pool);
  /** Why connections that are in use are of no use any more: their driver does not say it again. */
  const brokenBy = new WeakMap<Client, Error>();
  return {
    async transaction(run) {
      const client = await pool.connect();
      let broken: Error | undefined;
      // Without a listener, a connection that breaks while its client is in use would end the process.
      const noteBroken = (error: Error): void => {
        broken ??= error;
        brokenBy.set(client, broken);
      };
      client.on('error', noteBroken);
      const orBroken = async (sql: string): Promise<void> => {
        try {
          const { command = sql } = await client.query(sql);
          // What the server answers to the COMMIT of a transaction in which something has failed: it is no error to it.
          if (command !== sql) throw new Error(`the server answered ${sql} with ${command}`);
        } catch (error) {
          // Whatever state it is in, nobody is to get it from the pool.
          noteBroken(error instanceof Error ? error : new Error(String(error)));
          throw error;
        }
      };
      try {
        await orBroken('BEGIN');
        let result: Awaited<ReturnType<typeof run>>;
        try {
          result = await run(client);
        } catch (error) {
          // What went wrong is told already; a connection that cannot even roll back is thrown away, which does.
          await orBroken('ROLLBACK').catch(() => {});
          throw error;
        }
        await orBroken('COMMIT');
        return result;
      } finally {
        client.removeListener('error', noteBroken);
        client.release(broken);
      }
    },
    async query(client, sql, parameters) {
      try {
        return (await client.query(sql, [...parameters])).rows;
      } catch (error) {
        throw brokenBy.get(client) ?? error;
      }
    },
  };
}
