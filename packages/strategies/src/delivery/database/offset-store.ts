import { randomUUID } from 'node:crypto';
import { type CommittedOffset, NonRetriableError, RetriableError, type TopicPartition } from '@kafka-worker/core';
import { Claim, type Stored } from './claim.ts';
import type { Database } from './database.ts';
import { FencedError } from './fenced-error.ts';

/** What a store is made of. */
export interface OffsetStoreOptions<Transaction> {
  readonly database: Database<Transaction>;
  /** Quoted. */
  readonly schema: string;
  readonly groupId: string;
  readonly lockTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
}

/** A group's tables: each method is a transaction, or the part of one, and its SQL. */
export class OffsetStore<Transaction> {
  readonly #options: OffsetStoreOptions<Transaction>;

  constructor(options: OffsetStoreOptions<Transaction>) {
    this.#options = options;
  }

  /** Rejects as the database does, where the tables are not there or not ours to use. */
  async check(): Promise<void> {
    const { database, schema } = this.#options;
    await database.transaction(async (transaction) => {
      for (const table of ['partition_epochs', 'partition_offsets', 'finished_offsets'])
        await database.query(transaction, `SELECT 1 FROM ${schema}.${table} LIMIT 0`, []);
    });
  }

  /**
   * Takes a partition: from the commit on, whoever had it before writes nothing. Waits for a transaction of theirs that is about to commit, at most for
   * `lockTimeoutMs`.
   */
  async claim({ topic, partition }: TopicPartition, isWanted: () => boolean): Promise<Claim> {
    const { database, schema, groupId } = this.#options;
    const key = [groupId, topic, partition];
    return await database.transaction(async (transaction) => {
      // It may have waited for its connection for long, and the partition may have another owner by now, whom it would fence.
      if (!isWanted()) throw new RetriableError(`${topic}/${partition} is not taken any more: it came too late`);
      await this.#readCommitted(transaction);
      await this.#set(transaction, this.#bounds());
      const [owner] = await database.query(
        transaction,
        `INSERT INTO ${schema}.partition_epochs AS e (group_id, topic, partition, epoch) VALUES ($1, $2, $3, 1)
         ON CONFLICT (group_id, topic, partition) DO UPDATE SET epoch = e.epoch + 1, claimed_at = now()
         RETURNING epoch::text AS epoch`,
        key,
      );
      // A statement of its own: what the owner before has committed while this one waited is seen only now.
      const [row] = await database.query(
        transaction,
        `SELECT next_offset::text AS next_offset FROM ${schema}.partition_offsets
         WHERE group_id = $1 AND topic = $2 AND partition = $3`,
        key,
      );
      const finished = await database.query(
        transaction,
        `SELECT finished_offset::text AS finished_offset FROM ${schema}.finished_offsets
         WHERE group_id = $1 AND topic = $2 AND partition = $3 ORDER BY finished_offset`,
        key,
      );
      const next = row === undefined ? undefined : Number(row.next_offset);
      const rows = finished.map(({ finished_offset }) => Number(finished_offset));
      const above = rows.filter((one) => one >= (next ?? 0));
      // A row whose commit nobody has heard of was not known when the frontier passed it.
      if (above.length < rows.length)
        await database.query(
          transaction,
          `DELETE FROM ${schema}.finished_offsets
           WHERE group_id = $1 AND topic = $2 AND partition = $3 AND finished_offset < $4`,
          [...key, next],
        );
      return new Claim({ topic, partition }, String(owner?.epoch), next, above);
    });
  }

  /** The next offsets of these; undefined where there is no row. */
  async committed(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]> {
    const { database, schema, groupId } = this.#options;
    const rows = await database.transaction((transaction) =>
      database.query(
        transaction,
        `SELECT topic, partition, next_offset::text AS next_offset, metadata FROM ${schema}.partition_offsets
         WHERE group_id = $1 AND topic = ANY($2::text[])`,
        [groupId, [...new Set(partitions.map(({ topic }) => topic))]],
      ),
    );
    const byName = new Map(rows.map((row) => [`${String(row.topic)}/${String(row.partition)}`, row]));
    return partitions.map(({ topic, partition }) => {
      const row = byName.get(`${topic}/${partition}`);
      const offset = row === undefined ? undefined : Number(row.next_offset);
      return { topic, partition, offset, metadata: row === undefined ? undefined : String(row.metadata) };
    });
  }

  /** Begins a transaction that is to store. Gives a token by which `store` knows that it is the same one still. */
  async begin(transaction: Transaction): Promise<string> {
    const token = randomUUID();
    await this.#set(transaction, {
      idle_in_transaction_session_timeout: `${this.#options.idleInTransactionTimeoutMs}`,
      'kafka_worker.transaction': token,
    });
    return token;
  }

  /**
   * The last statement of a transaction, for one partition: holds the partition's epoch, and stores.
   * @throws FencedError when somebody has taken the partition since; the transaction is to be rolled back then
   */
  async store(transaction: Transaction, token: string, claim: Claim, stored: Stored): Promise<void> {
    const { database, schema, groupId } = this.#options;
    const { topic, partition, epoch, finished } = claim;
    const { nextOffset = null, metadata = '' } = stored;
    // With nothing above the frontier there is nothing to trim.
    const trimBelow = finished.size > 0 ? nextOffset : null;
    const ofPartition = 'group_id = $1::text AND topic = $2::text AND partition = $3::integer';
    const [row] = await database.query(
      transaction,
      `WITH owner AS (
         SELECT epoch FROM ${schema}.partition_epochs
         WHERE ${ofPartition} AND epoch = $4::bigint AND current_setting('kafka_worker.transaction', true) = $5
         FOR SHARE
       ), stored AS (
         INSERT INTO ${schema}.partition_offsets AS o (group_id, topic, partition, next_offset, metadata)
         SELECT $1, $2, $3, $6::bigint, $7::text FROM owner WHERE $6::bigint IS NOT NULL
         ON CONFLICT (group_id, topic, partition) DO UPDATE SET stored_at = now(),
           next_offset = GREATEST(o.next_offset, EXCLUDED.next_offset), metadata = EXCLUDED.metadata
       ), finished AS (
         INSERT INTO ${schema}.finished_offsets (group_id, topic, partition, finished_offset)
         SELECT $1, $2, $3, one FROM owner, unnest($8::bigint[]) AS one ON CONFLICT DO NOTHING
       ), trimmed AS (
         DELETE FROM ${schema}.finished_offsets
         WHERE ${ofPartition} AND finished_offset < $9::bigint AND EXISTS (SELECT FROM owner)
       )
       SELECT count(*)::integer AS owners FROM owner`,
      [groupId, topic, partition, epoch, token, nextOffset, metadata, stored.finished, trimBelow],
    );
    if (Number(row?.owners) === 1) return;
    const [now] = await database.query(
      transaction,
      `SELECT current_setting('kafka_worker.transaction', true) AS token`,
      [],
    );
    if (now?.token === token) throw new FencedError(claim);
    throw new NonRetriableError(
      `the handler of ${topic}/${partition} has ended its transaction itself: what it did may be done without its offset. Leave COMMIT and ROLLBACK to the worker, and throw to roll back`,
    );
  }

  /** Stores what no handler call stands for, in a transaction of its own. */
  async storeAlone(claim: Claim, stored: Stored): Promise<void> {
    await this.#options.database.transaction(async (transaction) => {
      await this.#readCommitted(transaction);
      await this.#set(transaction, this.#bounds());
      await this.store(transaction, await this.begin(transaction), claim, stored);
    });
  }

  /** Of a transaction of our own: neither waits for a lock for ever, nor keeps others waiting when this process stands still. */
  #bounds(): Readonly<Record<string, string>> {
    const { lockTimeoutMs, idleInTransactionTimeoutMs } = this.#options;
    return { lock_timeout: `${lockTimeoutMs}`, idle_in_transaction_session_timeout: `${idleInTransactionTimeoutMs}` };
  }

  /**
   * Whatever the database's default is. With one snapshot for the whole transaction, a claim that has waited for the owner before would not see what
   * that one has stored meanwhile, and take as open what is done.
   */
  async #readCommitted(transaction: Transaction): Promise<void> {
    await this.#options.database.query(transaction, 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED', []);
  }

  /** For the rest of the transaction. */
  async #set(transaction: Transaction, settings: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.entries(settings);
    const calls = names.map((_, i) => `set_config($${2 * i + 1}, $${2 * i + 2}, true)`);
    await this.#options.database.query(transaction, `SELECT ${calls.join(', ')}`, names.flat());
  }
}
