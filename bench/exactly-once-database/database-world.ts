import { randomUUID } from 'node:crypto';
import clients from '@confluentinc/kafka-javascript';
import { exactlyOnceMigration } from '@kafka-worker/strategies';
import pg from 'pg';
import { called } from '../called.ts';

/** What is lost, repeated or out of order in the database, of the records that were written to the topic. */
export interface DatabaseVerdict {
  readonly records: number;
  readonly lost: number;
  readonly repeated: number;
  readonly orderViolations: number;
  /** Rows of finished offsets that nothing will ever delete. */
  readonly leftRows: number;
}

const PARTITIONS = 6;
const KEYS = 60;
const FLUSH_MS = 60_000;

/** A topic whose records are numbered by key, and the tables that workers write to. */
export class DatabaseWorld {
  readonly topic: string = `exactly-once-database-${randomUUID()}`;
  readonly schema: string = `eo_${randomUUID().replaceAll('-', '')}`;
  readonly pool: pg.Pool;
  readonly #producer: InstanceType<typeof clients.RdKafka.Producer>;
  #produced = 0;

  private constructor(brokers: string, postgresUrl: string) {
    this.pool = new pg.Pool({ connectionString: postgresUrl, max: 3, application_name: 'verdict' });
    this.pool.on('error', () => {});
    this.#producer = new clients.RdKafka.Producer({
      ...{ 'bootstrap.servers': brokers, 'linger.ms': 5, acks: 'all', 'enable.idempotence': true },
      'message.timeout.ms': 300_000,
    });
    this.#producer.on('event.error', () => {});
  }

  static async open(brokers: string, postgresUrl: string): Promise<DatabaseWorld> {
    const world = new DatabaseWorld(brokers, postgresUrl);
    const { topic, schema, pool } = world;
    const admin = clients.RdKafka.AdminClient.create({ 'bootstrap.servers': brokers });
    await called<void>((done) => admin.createTopic({ topic, num_partitions: PARTITIONS, replication_factor: 1 }, done));
    admin.disconnect();
    await called((done) => world.#producer.connect({ topic, timeout: 30_000 }, done));
    await pool.query(exactlyOnceMigration(schema));
    // No constraint keeps anything from being there twice.
    await pool.query(`
      CREATE TABLE ${schema}.keys (key text PRIMARY KEY, last bigint NOT NULL);
      INSERT INTO ${schema}.keys SELECT 'key-' || n, -1 FROM generate_series(0, ${KEYS - 1}) AS n;
      CREATE TABLE ${schema}.effects (key text, sequence bigint, previous bigint, record_partition integer, record_offset bigint,
        writer text, written_at timestamptz DEFAULT clock_timestamp())`);
    return world;
  }

  get produced(): number {
    return this.#produced;
  }

  /** Resolves when the broker has all of them. */
  async produce(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const key = this.#produced % KEYS;
      const sequence = Math.floor(this.#produced / KEYS);
      this.#producer.produce(this.topic, key % PARTITIONS, Buffer.from(`${sequence}`), `key-${key}`);
      this.#produced++;
    }
    await called((done) => this.#producer.flush(FLUSH_MS, done));
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

  async verdict(): Promise<DatabaseVerdict> {
    const { schema } = this;
    const { rows } = await this.pool.query<Record<string, string>>(`SELECT
      (SELECT count(*) FROM (SELECT DISTINCT key, sequence FROM ${schema}.effects) AS d) AS written,
      (SELECT count(*) - count(DISTINCT (key, sequence)) FROM ${schema}.effects) AS repeated,
      (SELECT count(*) FROM ${schema}.effects WHERE previous <> sequence - 1) AS out_of_order,
      (SELECT count(*) FROM ${schema}.finished_offsets) AS left_rows`);
    const [row = {}] = rows;
    return {
      records: this.#produced,
      lost: this.#produced - Number(row.written),
      repeated: Number(row.repeated),
      orderViolations: Number(row.out_of_order),
      leftRows: Number(row.left_rows),
    };
  }

  async close(): Promise<void> {
    await this.pool.query(`DROP SCHEMA ${this.schema} CASCADE`).catch(() => {});
    await this.pool.end();
    await called((done) => this.#producer.disconnect(done));
  }
}
