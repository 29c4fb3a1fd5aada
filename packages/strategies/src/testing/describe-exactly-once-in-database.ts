import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Database } from '../delivery/database/database.ts';
import { deadLetter, parallel, perKey, perPartition, retry, serial, skip, stop } from '../index.ts';
import type { AnyTransaction, DatabaseUnderTest } from './database-under-test.ts';
import { DatabaseWorker, effectsOf, newGroup, storedOf, until, writeEffect, wrongIn } from './database-worker.ts';

const again = retry({ maxAttempts: 3, backoff: { initialMs: 10 }, then: stop() });

/** What `exactlyOnceInDatabase` promises, on any database. */
export function describeExactlyOnceInDatabase(name: string, open: () => Promise<DatabaseUnderTest>): void {
  describe(`exactlyOnceInDatabase on ${name}`, () => {
    let under: DatabaseUnderTest;
    beforeAll(async () => {
      under = await open();
    }, 60_000);
    afterAll(() => under.close());

    it.each([
      ['serial', serial()],
      ['perPartition', perPartition()],
      ['perKey', perKey()],
      ['parallel', parallel()],
    ])(
      'writes each record once under %s, and goes on from the database, whatever Kafka says',
      async (_name, concurrency) => {
        const group = newGroup();
        const first = await new DatabaseWorker(under, [6, 4], { group, options: { concurrency } }).start();
        await first.idle();
        await first.stop();
        expect(wrongIn(await effectsOf(under, group), [6, 4])).toEqual([]);
        expect(await storedOf(under, group)).toEqual({ next: [6, 4], finished: [] });
        // For lag.
        expect([...first.kafka.committed(group, 't')].sort()).toEqual([
          [0, 6],
          [1, 4],
        ]);
        // This one's Kafka has no offsets at all.
        const second = await new DatabaseWorker(under, [8, 7], { group, options: { concurrency } }).start();
        await second.idle();
        await second.stop();
        expect(wrongIn(await effectsOf(under, group), [8, 7])).toEqual([]);
        expect(second.calls.sort()).toEqual(['0@6', '0@7', '1@4', '1@5', '1@6']);
      },
    );

    it('stores the offset with each record, not later', async () => {
      const group = newGroup();
      const seen: number[][] = [];
      const worker = await new DatabaseWorker(under, [3], {
        group,
        async before(_record, transaction) {
          const sql = `SELECT next_offset::integer AS next FROM ${under.schema}.partition_offsets WHERE group_id = $1`;
          const { rows } = await transaction.query(sql, [group]);
          seen.push((rows as { next: number }[]).map(({ next }) => next));
        },
      }).start();
      await worker.idle();
      await worker.stop();
      expect(seen).toEqual([[0], [1], [2]]);
    });

    it('starts where startFrom says when there is no row, and stores that', async () => {
      const group = newGroup();
      const first = await new DatabaseWorker(under, [5], { group, options: { startFrom: 'latest' } }).start();
      await until([first], async () => (await storedOf(under, group)).next[0] === 5);
      // Killed before its first record: what comes now is not jumped over.
      const second = await new DatabaseWorker(under, [7], { group, options: { startFrom: 'latest' } }).start();
      await second.idle();
      await second.stop();
      expect(second.calls).toEqual(['0@5', '0@6']);
    });

    it('rolls a failed attempt back, and its retry writes once', async () => {
      const group = newGroup();
      const worker = await new DatabaseWorker(under, [3], {
        group,
        options: {
          onFailure: again,
          handler: async (record, { transaction, attempt }) => {
            await writeEffect(under, group, transaction, record);
            if (record.offset === 1 && attempt < 3) throw new Error('after it has written');
          },
        },
      }).start();
      await worker.idle();
      const { handled, failed } = await worker.stop();
      expect([handled, failed]).toEqual([3, 0]);
      expect(wrongIn(await effectsOf(under, group), [3])).toEqual([]);
    });

    it('records what is skipped, and what has become a dead letter', async () => {
      const group = newGroup();
      for (const [onFailure, count] of [
        [skip({ log: false }), 4],
        [deadLetter({ topic: 'dead' }), 6],
      ] as const) {
        const worker = new DatabaseWorker(under, [count], {
          group,
          options: { onFailure },
          before({ offset }) {
            if (offset % 2 === 1) throw new Error('bad');
          },
        });
        worker.kafka.createTopic('dead', { partitions: 1 });
        await worker.start();
        await worker.idle();
        const { failed } = await worker.stop();
        expect(failed).toBe(count === 4 ? 2 : 1);
        expect(await storedOf(under, group)).toEqual({ next: [count], finished: [] });
      }
      expect(wrongIn(await effectsOf(under, group), [6], ['0@1', '0@3', '0@5'])).toEqual([]);
    });

    it('has one transaction for a batch; one of which a record fails is undone, and called again without it', async () => {
      const group = newGroup();
      const calls: number[][] = [];
      const worker = await new DatabaseWorker(under, [6], {
        group,
        options: {
          onFailure: skip({ log: false }),
          concurrency: perPartition(),
          batch: { maxRecords: 10 },
          batchHandler: async (records, { transaction, fail }) => {
            calls.push(records.map(({ offset }) => offset));
            for (const record of records) await writeEffect(under, group, transaction, record);
            for (const record of records) if (record.offset === 2) fail(record, new Error('bad'));
          },
        },
      }).start();
      await worker.idle();
      await worker.stop();
      expect(calls).toEqual([
        [0, 1, 2, 3, 4, 5],
        [0, 1, 3, 4, 5],
      ]);
      expect(wrongIn(await effectsOf(under, group), [6], ['0@2'])).toEqual([]);
      expect(await storedOf(under, group)).toEqual({ next: [6], finished: [] });
    });

    it('does not repeat what was finished above an unfinished record, and forgets its rows when that is finished', async () => {
      const group = newGroup();
      const options = { concurrency: perKey(), onFailure: retry({ backoff: { initialMs: 600_000 }, then: stop() }) };
      const first = await new DatabaseWorker(under, [8], {
        group,
        options,
        before({ offset }) {
          if (offset === 1) throw new Error('not yet');
        },
      }).start();
      // Key 1 waits for its retry, with 1 and 6; it is killed now.
      await until([first], async () => (await storedOf(under, group)).finished.length === 5);
      expect(await storedOf(under, group)).toEqual({ next: [1], finished: ['0@2', '0@3', '0@4', '0@5', '0@7'] });
      const second = await new DatabaseWorker(under, [8], { group, options }).start();
      await second.idle();
      await second.stop();
      expect(second.calls).toEqual(['0@1', '0@6']);
      expect(wrongIn(await effectsOf(under, group), [8])).toEqual([]);
      expect(await storedOf(under, group)).toEqual({ next: [8], finished: [] });
    });

    it.each(['before', 'after'] as const)(
      'asks the database when a connection breaks %s its commit is done',
      async (when) => {
        const group = newGroup();
        const broken = breakingOnce(under.database, when, 2);
        const worker = await new DatabaseWorker(under, [5], {
          group,
          database: broken,
          options: { onFailure: skip() },
        }).start();
        await worker.idle();
        const { failed } = await worker.stop();
        // No policy was asked: nothing is known to have failed.
        expect(failed).toBe(0);
        expect(wrongIn(await effectsOf(under, group), [5])).toEqual([]);
        expect(worker.calls.filter((one) => one === '0@2')).toHaveLength(when === 'before' ? 2 : 1);
      },
    );

    it('writes nothing of an owner that another one has followed, and that one writes it', async () => {
      const group = newGroup();
      let isHeld = true;
      let arrived = false;
      const wait = async (): Promise<void> => {
        arrived = true;
        await until([], () => !isHeld);
      };
      const onlyOnce = { seen: false };
      const holdFirst = async (offset: number): Promise<void> => {
        if (offset !== 2 || onlyOnce.seen) return;
        onlyOnce.seen = true;
        await wait();
      };
      // In the middle of its transaction, where others can have one meanwhile; in front of it where they cannot.
      const aroundRecord = async (
        { offset }: { readonly offset: number },
        _context: unknown,
        next: () => Promise<void>,
      ) => {
        await holdFirst(offset);
        await next();
      };
      const old = await new DatabaseWorker(under, [5], {
        group,
        name: 'old',
        ...(under.isConcurrent
          ? {
              options: {
                handler: async (record, { transaction }) => {
                  await writeEffect(under, group, transaction, record, 'old');
                  await holdFirst(record.offset);
                },
              },
            }
          : {
              options: {
                plugins: [{ name: 'p', aroundRecord }],
              },
            }),
      }).start();
      await until([old], () => arrived);
      const next = await new DatabaseWorker(under, [5], { group, name: 'next' }).start();
      await next.idle();
      isHeld = false;
      await until([old], () => old.warnings.length > 0);
      expect(old.warnings.join()).toContain('counts no more');
      // Still assigned as far as it knows, it takes the partition again, and finds nothing left to do.
      await old.idle();
      const writers = await under.query(
        `SELECT record_offset::integer AS o, writer FROM ${under.schema}.effects WHERE group_id = $1 ORDER BY 1`,
        [group],
      );
      expect(writers.map(({ o, writer }) => `${String(o)} ${String(writer)}`)).toEqual([
        '0 old',
        '1 old',
        '2 next',
        '3 next',
        '4 next',
      ]);
      await old.stop();
      await next.stop();
    });

    it('has two that both believe to be the owner write each record once', async () => {
      const group = newGroup();
      const two = ['a', 'b'].map(
        (name) => new DatabaseWorker(under, [25, 25], { group, name, options: { concurrency: perKey() } }),
      );
      await Promise.all(two.map((one) => one.start()));
      await until(two, async () => (await effectsOf(under, group)).size === 50);
      for (const one of two) await one.idle();
      for (const one of two) expect((await one.stop()).error).toBeUndefined();
      expect(wrongIn(await effectsOf(under, group), [25, 25])).toEqual([]);
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

    it('does not handle again what the database has as done, and says so', async () => {
      const group = newGroup();
      const first = await new DatabaseWorker(under, [4], { group }).start();
      await first.idle();
      await first.stop();
      const second = await new DatabaseWorker(under, [4], { group }).start();
      await second.idle();
      await second.worker.seek({ topic: 't', partition: 0 }, 1);
      const failure = second.worker.finished.catch((error: unknown) => String((error as Error).cause));
      await until([second], () => second.worker.state === 'failed');
      expect(await failure).toContain('offset 1 is done, as the database has it, which goes on at 4');
      expect(wrongIn(await effectsOf(under, group), [4])).toEqual([]);
    });

    it('does not start without its tables', async () => {
      const without = { ...under, schema: 'nowhere' };
      const worker = new DatabaseWorker(without, [1], { group: newGroup() });
      await expect(worker.start()).rejects.toThrow('nowhere.partition_epochs');
      await worker.stop();
    });

    it('breaks its promise, which these tests notice, when the offset is stored outside of the transaction', async () => {
      const group = newGroup();
      const database = storingOutside(breakingOnce(under.database, 'after', 2));
      const worker = await new DatabaseWorker(under, [5], { group, database, options: { onFailure: skip() } }).start();
      await worker.idle();
      await worker.stop();
      expect(wrongIn(await effectsOf(under, group), [5])).toEqual(['0@2 was written 2 times, not 1']);
    });
  });
}

/** Its connection breaks once, when the handler call of a certain number is about to be committed, or has been. */
function breakingOnce(
  inner: Database<AnyTransaction>,
  when: 'before' | 'after',
  number: number,
): Database<AnyTransaction> {
  let calls = -1;
  const lost = (): Error => Object.assign(new Error('the connection was lost'), { code: 'EPIPE' });
  return {
    query: (transaction, sql, parameters) => inner.query(transaction, sql, parameters),
    transaction: async (run) => {
      let isCall = false;
      const result = await inner.transaction(async (transaction) => {
        const inside = await run(
          new Proxy(transaction, {
            get(target, property) {
              const value: unknown = Reflect.get(target, property, target);
              if (typeof value !== 'function') return value;
              return (...given: unknown[]): unknown => {
                // Only the handlers of these tests write there.
                if (String(given[0]).includes('.effects') && !isCall) {
                  isCall = true;
                  calls++;
                }
                return (value as (...all: unknown[]) => unknown).apply(target, given);
              };
            },
          }),
        );
        if (isCall && calls === number && when === 'before') throw lost();
        return inside;
      });
      if (isCall && calls === number && when === 'after') throw lost();
      return result;
    },
  };
}

/** Stores the offsets behind the transaction, in one of its own: what a bad implementation would do. */
function storingOutside(inner: Database<AnyTransaction>): Database<AnyTransaction> {
  const deferred = new Map<AnyTransaction, { readonly sql: string; readonly parameters: readonly unknown[] }[]>();
  return {
    async transaction(run) {
      const stores: { readonly sql: string; readonly parameters: readonly unknown[] }[] = [];
      const result = await inner.transaction((transaction) => {
        deferred.set(transaction, stores);
        return run(transaction);
      });
      for (const { sql, parameters } of stores)
        await inner.transaction(async (transaction) => {
          await inner.query(transaction, "SELECT set_config('kafka_worker.transaction', $1, true)", [parameters[4]]);
          await inner.query(transaction, sql, parameters);
        });
      return result;
    },
    async query(transaction, sql, parameters) {
      if (!sql.startsWith('WITH owner')) return inner.query(transaction, sql, parameters);
      deferred.get(transaction)?.push({ sql, parameters });
      return [{ owners: 1 }];
    },
  };
}
