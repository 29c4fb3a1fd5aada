import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Database } from '../delivery/database/database.ts';
import { retry, stop } from '../index.ts';
import type { AnyTransaction, DatabaseUnderTest } from './database-under-test.ts';
import { DatabaseWorker, newGroup, storedOf, until, writeEffect } from './database-worker.ts';

const again = retry({ maxAttempts: 3, backoff: { initialMs: 10 }, then: stop() });

/** What a handler may do with its transaction, and for how long. */
export function describeHandlersInDatabase(opened: () => DatabaseUnderTest): void {
  describe('handlers', () => {
    let under: DatabaseUnderTest;
    beforeAll(() => {
      under = opened();
    });

    it('fails a record whose handler ends the transaction itself', async () => {
      const group = newGroup();
      const worker = await new DatabaseWorker(under, [1], {
        group,
        options: { onFailure: again },
        async before(_record, transaction) {
          await transaction.query('ROLLBACK');
        },
      }).start();
      await expect(worker.worker.finished.catch((error: unknown) => String((error as Error).cause))).resolves.toContain(
        'ended its transaction itself',
      );
      expect((await storedOf(under, group)).next).toEqual([0]);
    }, 20_000);

    it('writes nothing of an attempt whose time was up, also when it succeeds late', async () => {
      const group = newGroup();
      const worker = await new DatabaseWorker(under, [2], {
        group,
        options: {
          onFailure: again,
          handlerTimeoutMs: 50,
          handler: async (record, { transaction, attempt, signal }) => {
            await writeEffect(under, group, transaction, record, `attempt ${attempt}`);
            if (record.offset === 0 && attempt === 1) await until([], () => signal.aborted);
          },
        },
      }).start();
      await worker.idle();
      await worker.stop();
      const sql = `SELECT writer FROM ${under.schema}.effects WHERE group_id = $1 ORDER BY record_offset`;
      expect((await under.query(sql, [group])).map(({ writer }) => writer)).toEqual(['attempt 2', 'attempt 1']);
    });

    it('has a transaction that is of no use once its handler has returned, before anything is stored', async () => {
      const group = newGroup();
      let late: AnyTransaction | undefined;
      const outcomes: unknown[] = [];
      const database: Database<AnyTransaction> = {
        transaction: (run) => under.database.transaction(run),
        async query(transaction, sql, parameters) {
          if (sql.startsWith('WITH owner') && late !== undefined) {
            try {
              await late.query('SELECT 1');
            } catch (error) {
              outcomes.push(error);
            }
          }
          return under.database.query(transaction, sql, parameters);
        },
      };
      const worker = await new DatabaseWorker(under, [1], {
        group,
        database,
        before(_record, transaction) {
          late = transaction;
        },
      }).start();
      await worker.idle();
      await worker.stop();
      expect(outcomes[0]).toMatchObject({ code: 'ILLEGAL_STATE' });
    });

    it('has a transaction that is of no use after its call', async () => {
      const group = newGroup();
      let late: AnyTransaction | undefined;
      const worker = await new DatabaseWorker(under, [1], {
        group,
        before(_record, transaction) {
          late = transaction;
        },
      }).start();
      await worker.idle();
      const use = async (): Promise<unknown> => await late?.query('SELECT 1');
      await expect(use()).rejects.toThrow();
      await worker.stop();
    });

    it('has functions of a transaction that are of no use after its call, also when they were kept', async () => {
      const group = newGroup();
      const kept: ((sql: string) => Promise<unknown>)[] = [];
      const worker = await new DatabaseWorker(under, [1], {
        group,
        before(_record, transaction) {
          const { query } = transaction as unknown as Record<string, (sql: string) => Promise<unknown>>;
          if (query !== undefined) kept.push(query);
        },
      }).start();
      await worker.idle();
      await worker.stop();
      expect(() => kept[0]?.('SELECT 1')).toThrow('was used after its handler had returned');
    });

    it.each(['rollback', 'commit', 'release', 'end'])('refuses a handler %s() of its transaction', async (name) => {
      const worker = await new DatabaseWorker(under, [1], {
        group: newGroup(),
        before(_record, transaction) {
          (transaction as unknown as Record<string, () => void>)[name]?.();
        },
      }).start();
      await expect(worker.worker.finished.catch((error: unknown) => String((error as Error).cause))).resolves.toContain(
        `transaction.${name} is not for handlers`,
      );
    });
  });
}
