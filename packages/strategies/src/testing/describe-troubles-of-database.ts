import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Database } from '../delivery/database/database.ts';
import { exactlyOnceInDatabase } from '../delivery/exactly-once-in-database.ts';
import { skip } from '../index.ts';
import type { AnyTransaction, DatabaseUnderTest } from './database-under-test.ts';
import { DatabaseWorker, effectsOf, newGroup, storedOf, until, wrongIn } from './database-worker.ts';

const lost = (): Error => Object.assign(new Error('the connection was lost'), { code: 'ECONNRESET' });
const isCall = (parameters: readonly unknown[]): boolean => parameters.includes('kafka_worker.transaction');

/** What a database does to a worker that has done nothing wrong: no policy is asked about that, so under `skip` nothing may be missing. */
export function describeTroublesOfDatabase(opened: () => DatabaseUnderTest): void {
  describe('troubles', () => {
    let under: DatabaseUnderTest;
    beforeAll(() => {
      under = opened();
    });

    /** Runs a worker that skips what fails over a database in trouble; nothing may be missing, and nothing may have counted as failed. */
    async function losesNothing(
      database: Database<AnyTransaction>,
      before?: (offset: number, calls: number) => void,
    ): Promise<DatabaseWorker> {
      const group = newGroup();
      const worker: DatabaseWorker = new DatabaseWorker(under, [5], {
        group,
        database,
        options: { onFailure: skip({ log: false }) },
        before: ({ offset }) => before?.(offset, worker.calls.filter((one) => one === `0@${offset}`).length),
      });
      await worker.start();
      await worker.idle(50);
      expect((await worker.stop()).failed).toBe(0);
      expect(wrongIn(await effectsOf(under, group), [5])).toEqual([]);
      return worker;
    }

    it.each(['40001', '40P01'])(
      'calls again a handler whose transaction was undone for the sake of others (%s)',
      async (code) => {
        const worker = await losesNothing(under.database, (offset, calls) => {
          const conflict = Object.assign(new Error('could not serialize access'), { code });
          if (offset === 2 && calls < 4) throw new Error('wrapped by the handler', { cause: conflict });
        });
        expect(worker.calls.filter((one) => one === '0@2')).toHaveLength(4);
        expect(worker.warnings).toContain('a handler call was undone by the delivery, and is made again');
      },
    );

    it('calls a handler when a connection can be had again', async () => {
      let calls = 0;
      const refusing: Database<AnyTransaction> = {
        transaction: (run) => under.database.transaction(run),
        async query(transaction, sql, parameters) {
          // Where a handler call begins: the third and the fourth get no connection.
          if (isCall(parameters) && [3, 4].includes(++calls)) throw lost();
          return await under.database.query(transaction, sql, parameters);
        },
      };
      await losesNothing(refusing);
      expect(calls).toBeGreaterThan(6);
    });

    it('calls again a handler whose connection broke while it ran', async () => {
      let breaksAt = 2;
      let isBroken = false;
      await losesNothing(
        {
          async transaction(run) {
            try {
              return await under.database.transaction(run);
            } finally {
              isBroken = false;
            }
          },
          async query(transaction, sql, parameters) {
            if (isBroken) throw lost();
            return await under.database.query(transaction, sql, parameters);
          },
        },
        (offset) => {
          if (offset !== breaksAt) return;
          breaksAt = -1;
          isBroken = true;
          throw new Error('whatever the handler makes of it');
        },
      );
      expect(breaksAt).toBe(-1);
    });

    it('calls again a handler whose offset could not be stored for a reason that passes, and no other', async () => {
      let code: string | undefined = '40001';
      const storing: Database<AnyTransaction> = {
        transaction: (run) => under.database.transaction(run),
        async query(transaction, sql, parameters) {
          if (
            sql.startsWith('WITH owner') &&
            parameters[7] !== undefined &&
            Number(parameters[5]) === 3 &&
            code !== undefined
          ) {
            const error = Object.assign(new Error('no'), { code });
            code = undefined;
            throw error;
          }
          return await under.database.query(transaction, sql, parameters);
        },
      };
      await losesNothing(storing);
      expect(code).toBeUndefined();
      // A handler that has spoilt its transaction has failed.
      code = '25P02';
      await expect(losesNothing(storing)).rejects.toThrow('Expected: 0');
    });

    it('starts a partition again when nobody answers a commit, and lets the database say what is done', async () => {
      const group = newGroup();
      let hangs = 0;
      const worker = new DatabaseWorker(under, [4], {
        group,
        options: { onFailure: skip({ log: false }) },
        database: {
          query: (transaction, sql, parameters) => under.database.query(transaction, sql, parameters),
          async transaction(run) {
            const stored = (await storedOf(under, group)).next[0];
            const result = await under.database.transaction(run);
            // What was committed then, nobody ever hears of.
            if (stored === 1 && (await storedOf(under, group)).next[0] === 2 && hangs++ === 0)
              await new Promise(() => {});
            return result;
          },
        },
      });
      await worker.start();
      await worker.idle(1_000);
      expect((await worker.stop()).failed).toBe(0);
      expect(hangs).toBe(1);
      expect(worker.warnings.join()).toContain('counts no more');
      expect(wrongIn(await effectsOf(under, group), [4])).toEqual([]);
    });

    it('does not start where no database answers, and says so in time', async () => {
      const silent = { transaction: () => new Promise<never>(() => {}), query: () => Promise.resolve([]) };
      const worker = new DatabaseWorker(under, [1], {
        group: newGroup(),
        database: silent,
        options: { connectTimeoutMs: 1_000 },
      });
      await expect(worker.start()).rejects.toThrow('the database did not answer within 1000 ms');
      await worker.stop();
    });

    it('does not take a partition from anybody with a claim that got its connection too late', async () => {
      const group = newGroup();
      const waiting: (() => void)[] = [];
      let isFull = true;
      let checked = false;
      const worker = new DatabaseWorker(under, [2], {
        group,
        options: {
          delivery: exactlyOnceInDatabase({
            schema: under.schema,
            database: {
              query: (transaction, sql, parameters) => under.database.query(transaction, sql, parameters),
              async transaction(run) {
                // The first one is that of the start.
                if (checked && isFull) await new Promise<void>((resolve) => waiting.push(resolve));
                checked = true;
                return await under.database.transaction(run);
              },
            },
          }),
        },
      });
      await worker.start();
      // The first try has been given up, and the second one waits.
      await until([worker], () => waiting.length === 2, 2_000);
      expect(worker.worker.health().reasons.join()).toMatch(
        /an assignment has been waiting for .* t\/0 cannot be taken in the database yet: the database did not answer/,
      );
      isFull = false;
      for (const go of waiting) go();
      await worker.idle();
      await worker.stop();
      const sql = `SELECT epoch::integer AS epoch FROM ${under.schema}.partition_epochs WHERE group_id = $1`;
      expect(await under.query(sql, [group])).toEqual([{ epoch: 1 }]);
    });
  });
}
