import { beforeAll, describe, expect, it } from '@jest/globals';
import type { FailurePolicy } from '@kafka-worker/core';
import type { Database } from '../delivery/database/database.ts';
import { deadLetter, perKey, retry, skip } from '../index.ts';
import type { AnyTransaction, DatabaseUnderTest } from './database-under-test.ts';
import { DatabaseWorker, effectsOf, newGroup, storedOf, until, wrongIn } from './database-worker.ts';

const HANDLED = ['0@3', '0@4', '0@5', '0@7'];
/** With what the policy has decided about. */
const DONE = ['0@2', ...HANDLED];

/** What a policy has decided about a record above one that is not finished. */
export function describeDecidedInDatabase(opened: () => DatabaseUnderTest): void {
  describe('what is decided above the frontier', () => {
    let under: DatabaseUnderTest;
    beforeAll(() => {
      under = opened();
    });

    /** Record 1 waits for its retry, and 6 for record 1; the policy is asked about record 2; the others are handled. */
    function worker(
      group: string,
      then: FailurePolicy,
      given: { readonly everyMs?: number; readonly database?: Database<AnyTransaction> } = {},
    ): DatabaseWorker {
      const { everyMs = 1_000, database = under.database } = given;
      const isHopeful = (error: unknown): boolean => !String(error).includes('hopeless');
      const one = new DatabaseWorker(under, [8], {
        ...{ group, database },
        options: {
          concurrency: perKey(),
          commit: { everyMs },
          onFailure: retry({ backoff: { initialMs: 600_000 }, when: isHopeful, then }),
        },
        before({ offset }) {
          if (offset === 1) throw new Error('not yet');
          if (offset === 2) throw new Error('hopeless');
        },
      });
      one.kafka.createTopic('dead', { partitions: 1 });
      return one;
    }

    /** Until nothing is left but what waits for the retry. */
    const decided = (one: DatabaseWorker): Promise<void> =>
      until([one], () => one.calls.length >= 7 && one.worker.status().inFlightRecords === 2);
    const finishedOf = async (group: string): Promise<readonly string[]> => (await storedOf(under, group)).finished;
    const deadLettersOf = (one: DatabaseWorker): number => one.kafka.records('dead').length;

    /** What comes after a crash: it handles what is not done, and has none of the failures. */
    async function successor(group: string): Promise<DatabaseWorker> {
      const next = await new DatabaseWorker(under, [8], { group, options: { concurrency: perKey() } }).start();
      await next.idle();
      await next.stop();
      expect(await storedOf(under, group)).toEqual({ next: [8], finished: [] });
      return next;
    }

    it('does not handle again after a crash what was skipped', async () => {
      const group = newGroup();
      const first = await worker(group, skip({ log: false })).start();
      await until([first], async () => (await finishedOf(group)).length === DONE.length);
      expect(await storedOf(under, group)).toEqual({ next: [1], finished: DONE });
      expect((await successor(group)).calls).toEqual(['0@1', '0@6']);
      expect(wrongIn(await effectsOf(under, group), [8], ['0@2'])).toEqual([]);
    });

    it('does not write a dead letter again after a crash', async () => {
      const group = newGroup();
      const first = await worker(group, deadLetter({ topic: 'dead' })).start();
      await until([first], async () => (await finishedOf(group)).length === DONE.length);
      const second = await worker(group, deadLetter({ topic: 'dead' })).start();
      await until([second], () => second.calls.length > 0);
      await second.stop();
      expect([deadLettersOf(first), deadLettersOf(second)]).toEqual([1, 0]);
      expect(second.calls).toEqual(['0@1']);
      expect((await successor(group)).calls).toEqual(['0@1', '0@6']);
      expect(wrongIn(await effectsOf(under, group), [8], ['0@2'])).toEqual([]);
    });

    it('writes a dead letter again when the crash comes between it and its row', async () => {
      const group = newGroup();
      const first = await worker(group, deadLetter({ topic: 'dead' }), { everyMs: 60_000 }).start();
      await decided(first);
      expect(deadLettersOf(first)).toBe(1);
      expect(await finishedOf(group)).toEqual(HANDLED);
      const second = await worker(group, deadLetter({ topic: 'dead' })).start();
      await until([second], async () => (await finishedOf(group)).length === DONE.length);
      expect(deadLettersOf(second)).toBe(1);
      await second.stop();
    });

    it('stores it before the partition is given back', async () => {
      const group = newGroup();
      const first = await worker(group, skip({ log: false }), { everyMs: 60_000 }).start();
      await decided(first);
      expect(await finishedOf(group)).toEqual(HANDLED);
      await first.stop();
      expect(await finishedOf(group)).toEqual(DONE);
    });

    it('takes no row from an owner that comes late', async () => {
      const group = newGroup();
      const old = await worker(group, skip({ log: false }), { everyMs: 60_000 }).start();
      await decided(old);
      const next = new DatabaseWorker(under, [8], { group, options: { concurrency: perKey() } });
      next.worker.pause();
      await next.start();
      await until([next], () => next.worker.status().partitions.length === 1);
      // Time passes for the old one alone, until its commit is due.
      await until([old], () => old.warnings.join().includes('counts no more'), 1_000);
      expect(await finishedOf(group)).toEqual(HANDLED);
      await next.stop();
      await old.stop();
    });

    it('tries to store it until that succeeds, once', async () => {
      const group = newGroup();
      const tries: unknown[] = [];
      const database: Database<AnyTransaction> = {
        transaction: (run) => under.database.transaction(run),
        async query(transaction, sql, parameters) {
          // By itself, so in no handler's transaction: the frontier stays where it is.
          if (sql.startsWith('WITH owner') && String(parameters[7]) === '2' && tries.push(parameters[5]) <= 2)
            throw Object.assign(new Error('the connection was lost'), { code: 'ECONNRESET' });
          return await under.database.query(transaction, sql, parameters);
        },
      };
      const first = await worker(group, skip({ log: false }), { database }).start();
      await until([first], async () => (await finishedOf(group)).length === DONE.length, 100);
      await first.kafka.clock.advance(10_000);
      expect(tries).toEqual([null, null, null]);
      await first.stop();
    });

    it('deletes, when the partition is taken, a row that nobody knew of when the frontier passed it', async () => {
      const group = newGroup();
      const first = await new DatabaseWorker(under, [8], { group }).start();
      await first.idle();
      await first.stop();
      await under.query(`INSERT INTO ${under.schema}.finished_offsets VALUES ($1, 't', 0, 5), ($1, 't', 0, 9)`, [
        group,
      ]);
      const second = await new DatabaseWorker(under, [8], { group }).start();
      await second.idle();
      await second.stop();
      expect(await finishedOf(group)).toEqual(['0@9']);
    });
  });
}
