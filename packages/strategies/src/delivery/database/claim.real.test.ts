import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { perKey, skip } from '../../index.ts';
import { type AnyTransaction, type DatabaseUnderTest, openPostgres } from '../../testing/database-under-test.ts';
import { DatabaseWorker, effectsOf, newGroup, until, wrongIn } from '../../testing/database-worker.ts';
import type { Database } from './database.ts';

const url = process.env.POSTGRES_URL;

/** Holds one transaction, that of the n-th handler call, between its last statement and its commit. */
function holding(inner: Database<AnyTransaction>, number: number) {
  let calls = 0;
  let isHeld = false;
  let letGo = (): void => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const database: Database<AnyTransaction> = {
    transaction: (run) =>
      inner.transaction(async (transaction) => {
        const result = await run(transaction);
        if (isHeld) await gate;
        return result;
      }),
    async query(transaction, sql, parameters) {
      const rows = await inner.query(transaction, sql, parameters);
      if (sql.startsWith('WITH owner') && (parameters[5] !== null || parameters[7] !== null) && ++calls === number)
        isHeld = true;
      return rows;
    },
  };
  return { database, letGo: () => letGo(), isHeld: () => isHeld };
}

(url === undefined ? describe.skip : describe)('a claim on PostgreSQL', () => {
  let under: DatabaseUnderTest;
  let watch: pg.Client;
  beforeAll(async () => {
    under = await openPostgres(url ?? '');
    watch = new pg.Client({ connectionString: url });
    await watch.connect();
  });
  afterAll(async () => {
    await watch.end();
    await under.close();
  });

  /** Whether a claim waits for a lock. */
  async function isWaiting(schema: string): Promise<boolean> {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO "' || $1 || '".partition_epochs%'`;
    return (await watch.query(sql, [schema])).rows.length > 0;
  }

  it.each(['read committed', 'repeatable read', 'serializable'])(
    'sees what the owner before has committed while it waited, also where the default is %s',
    async (isolation) => {
      const own = await openPostgres(url ?? '', `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`);
      try {
        const group = newGroup();
        // The first is the start, which is stored alone.
        const { database, letGo, isHeld } = holding(own.database, 4);
        const old = await new DatabaseWorker(own, [5], { group, database, name: 'old' }).start();
        await until([old], isHeld);
        const next = await new DatabaseWorker(own, [5], { group, name: 'next', lockTimeoutMs: 20_000 }).start();
        await until([next], () => isWaiting(own.schema));
        letGo();
        await next.idle();
        await old.idle();
        expect(next.calls).toEqual(['0@3', '0@4']);
        expect(wrongIn(await effectsOf(own, group), [5])).toEqual([]);
        await old.stop();
        await next.stop();
      } finally {
        await own.close();
      }
    },
    60_000,
  );

  it('says in health why it waits, and is made when the owner before has let go', async () => {
    const group = newGroup();
    const first = await new DatabaseWorker(under, [2], { group }).start();
    await first.idle();
    await first.stop();
    const owner = new pg.Client({ connectionString: url });
    await owner.connect();
    await owner.query('BEGIN');
    await owner.query(`SELECT epoch FROM ${under.schema}.partition_epochs WHERE group_id = $1 FOR SHARE`, [group]);
    const next = await new DatabaseWorker(under, [4], { group }).start();
    await until([next], () => next.worker.health().reasons.join().includes('open still'));
    expect(next.worker.health().reasons.join()).toMatch(
      /^a rebalance is in progress: an assignment has been waiting for .*: t\/0 cannot be taken in the database yet: a transaction of the owner before is open still/,
    );
    expect(next.calls).toEqual([]);
    await owner.query('ROLLBACK');
    await owner.end();
    await next.idle();
    expect(next.worker.health().reasons).toEqual([]);
    expect(next.calls).toEqual(['0@2', '0@3']);
    await next.stop();
  }, 60_000);

  it('loses nothing to conflicts, where transactions of a partition at once are in each other’s way', async () => {
    const own = await openPostgres(url ?? '', '-c default_transaction_isolation=serializable');
    try {
      const options = { concurrency: perKey(), onFailure: skip({ log: false }) };
      const conflict = 'a handler call was undone by the delivery, and is made again';
      const warnings: string[] = [];
      // Whether any two are in each other's way is up to the machine.
      for (let round = 0; round < 20 && !warnings.includes(conflict); round++) {
        const group = newGroup();
        const worker = await new DatabaseWorker(own, [40], { group, options }).start();
        await worker.idle(100);
        expect((await worker.stop()).failed).toBe(0);
        expect(wrongIn(await effectsOf(own, group), [40])).toEqual([]);
        warnings.push(...worker.warnings);
      }
      expect(warnings).toContain(conflict);
    } finally {
      await own.close();
    }
  }, 60_000);

  it('gives a record up whose handler leaves its transaction idle for longer than it may', async () => {
    const group = newGroup();
    const worker = await new DatabaseWorker(under, [2], {
      group,
      idleInTransactionTimeoutMs: 1_000,
      options: { onFailure: skip({ log: false }) },
      async before({ offset }) {
        if (offset === 0) await new Promise((resolve) => setTimeout(resolve, 1_500));
      },
    }).start();
    await worker.idle();
    expect((await worker.stop()).failed).toBe(1);
    expect(wrongIn(await effectsOf(under, group), [2], ['0@0'])).toEqual([]);
  }, 60_000);
});
