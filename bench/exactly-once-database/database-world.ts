import { randomUUID } from 'node:crypto';
import { exactlyOnceMigration } from '@kafka-worker/strategies';
import pg from 'pg';
import { NumberedRecords } from '../faults/numbered-records.ts';
import type { FaultedWorld, RecordsVerdict } from '../faults/run-faults.ts';

/** What is lost, repeated or out of order in the database, of the records that were written to the topic. */
export interface DatabaseVerdict extends RecordsVerdict {
  /** Rows of finished offsets that nothing will ever delete. */
  readonly leftRows: number;
}

/** A topic whose records are numbered by key, and the tables that workers write to. */
export class DatabaseWorld implements FaultedWorld<DatabaseVerdict> {
  readonly schema: string = `eo_${randomUUID().replaceAll('-', '')}`;
  readonly pool: pg.Pool;
  readonly input: NumberedRecords;

  private constructor(input: NumberedRecords, postgresUrl: string) {
    this.input = input;
    this.pool = new pg.Pool({ connectionString: postgresUrl, max: 3, application_name: 'verdict' });
    this.pool.on('error', () => {});
  }

  static async open(brokers: string, postgresUrl: string): Promise<DatabaseWorld> {
    const input = await NumberedRecords.create(brokers, `exactly-once-database-${randomUUID()}`);
    const world = new DatabaseWorld(input, postgresUrl);
    const { schema, pool } = world;
    await pool.query(exactlyOnceMigration(schema));
    // No constraint keeps anything from being there twice.
    await pool.query(`
      CREATE TABLE ${schema}.keys (key text PRIMARY KEY, last bigint NOT NULL);
      INSERT INTO ${schema}.keys SELECT 'key-' || n, -1 FROM generate_series(0, ${NumberedRecords.keys - 1}) AS n;
      CREATE TABLE ${schema}.effects (key text, sequence bigint, previous bigint, record_partition integer, record_offset bigint,
        writer text, written_at timestamptz DEFAULT clock_timestamp())`);
    return world;
  }

  /** How many effects there are; undefined while the server is away. */
  async written(): Promise<number | undefined> {
    try {
      const { rows } = await this.pool.query<{ count: string }>(`SELECT count(*) FROM ${this.schema}.effects`);
      return Number(rows[0]?.count);
    } catch {
      return undefined;
    }
  }

  /** Those of one worker; nothing happens while the server is away. */
  async cutConnections(name: string): Promise<void> {
    await this.pool
      .query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name])
      .catch(() => {});
  }

  async verdict(): Promise<DatabaseVerdict> {
    const { schema } = this;
    const { rows } = await this.pool.query<Record<string, string>>(`SELECT
      (SELECT count(*) FROM (SELECT DISTINCT key, sequence FROM ${schema}.effects) AS d) AS written,
      (SELECT count(*) - count(DISTINCT (key, sequence)) FROM ${schema}.effects) AS repeated,
      (SELECT count(*) FROM ${schema}.effects WHERE previous <> sequence - 1) AS out_of_order,
      (SELECT count(*) FROM ${schema}.finished_offsets) AS left_rows`);
    const [row = {}] = rows;
    return {
      records: this.input.produced,
      lost: this.input.produced - Number(row.written),
      repeated: Number(row.repeated),
      orderViolations: Number(row.out_of_order),
      leftRows: Number(row.left_rows),
    };
  }

  async close(): Promise<void> {
    await this.pool.query(`DROP SCHEMA ${this.schema} CASCADE`).catch(() => {});
    await this.pool.end();
    await this.input.close();
  }
}
