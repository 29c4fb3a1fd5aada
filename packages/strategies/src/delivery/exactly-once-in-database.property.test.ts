import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Database } from '../index.ts';
import { parallel, perKey, perPartition, retry, serial, skip } from '../index.ts';
import { type AnyTransaction, type DatabaseUnderTest, openPGlite } from '../testing/database-under-test.ts';
import { DatabaseWorker, effectsOf, newGroup, until, writeEffect, wrongIn } from '../testing/database-worker.ts';

const concurrencies = { serial, perPartition, perKey, parallel, few: () => perKey({ concurrency: 2 }) };
const counts = [12, 9];
/** Large, for what starts again waits for seconds. */
const STEP_MS = 200;

/** What one worker's life is like. */
const life = fc.record({
  /** After so many handler calls it is killed; its successor begins. */
  killedAfter: fc.nat(25),
  /** Instead, it goes on beside its successor, and both believe to be the owner. */
  staysAlive: fc.boolean(),
});
const world = fc.record({
  concurrency: fc.constantFrom(...(Object.keys(concurrencies) as (keyof typeof concurrencies)[])),
  isBatch: fc.boolean(),
  lives: fc.array(life, { maxLength: 2 }),
  /** Of each eight transactions, those whose connection breaks, and when. */
  breaks: fc.array(fc.constantFrom('no', 'no', 'no', 'before', 'after', 'begin'), { minLength: 8, maxLength: 8 }),
  /** Records whose handler fails so often. */
  failing: fc.dictionary(fc.constantFrom('0@1', '0@2', '0@7', '1@0', '1@5'), fc.integer({ min: 1, max: 2 })),
  /** Records that never succeed, and are skipped. */
  hopeless: fc.subarray(['0@3', '1@4']),
});

/** One in which each of it happens. */
const eventful: typeof world extends fc.Arbitrary<infer World> ? World : never = {
  ...{ concurrency: 'perKey', isBatch: false, failing: { '0@2': 1 }, hopeless: ['0@3'] },
  lives: [
    { killedAfter: 5, staysAlive: false },
    { killedAfter: 3, staysAlive: true },
  ],
  breaks: ['no', 'no', 'no', 'after', 'no', 'no', 'before', 'no'],
};

let under: DatabaseUnderTest;
beforeAll(async () => {
  under = await openPGlite();
}, 60_000);
afterAll(() => under.close());

/** Connections that break as they are told: before a transaction, before its commit, or when it is done and nobody has heard of it. */
function breaking(when: () => string, isDead: () => boolean): Database<AnyTransaction> {
  const lost = (): Error => Object.assign(new Error('the connection was lost'), { code: 'ECONNRESET' });
  return {
    query: (transaction, sql, parameters) => under.database.query(transaction, sql, parameters),
    async transaction(run) {
      const moment = when();
      if (moment === 'begin') throw lost();
      const result = await under.database.transaction(async (transaction) => {
        const inside = await run(transaction);
        // The process is dead: the server rolls back.
        if (moment === 'before' || isDead()) throw lost();
        return inside;
      });
      if (moment === 'after') throw lost();
      return result;
    },
  };
}

describe('exactlyOnceInDatabase, whatever happens', () => {
  it('writes each record once, and what is skipped never', async () => {
    const seen = { broken: 0, killed: 0, rivals: 0, fenced: 0 };
    await fc.assert(
      fc.asyncProperty(world, async ({ concurrency, isBatch, lives, breaks, failing, hopeless }) => {
        const group = newGroup();
        const alive: DatabaseWorker[] = [];
        for (const [i, { killedAfter, staysAlive }] of [...lives, { killedAfter: -1, staysAlive: true }].entries()) {
          let transactions = 0;
          let calls = 0;
          let isDead = false;
          // The last one has peace in the end, and the first transaction is that of the start.
          const when = (): string => {
            const moment = ++transactions > 1 && transactions < 40 ? (breaks[transactions % 8] ?? 'no') : 'no';
            if (moment !== 'no') seen.broken++;
            return moment;
          };
          const handleOne = async (
            record: { readonly partition: number; readonly offset: number },
            transaction: AnyTransaction,
            attempt: number,
          ): Promise<void> => {
            calls++;
            await writeEffect(under, group, transaction, record as never, `${i}`);
            const name = `${record.partition}@${record.offset}`;
            if (hopeless.includes(name)) throw new Error('hopeless');
            if (attempt <= (failing[name] ?? 0)) throw new Error('not yet');
          };
          const options = {
            concurrency: concurrencies[concurrency](),
            onFailure: retry({
              maxAttempts: 40,
              backoff: { initialMs: 10, maxMs: 50 },
              when: (error) => !String(error).includes('hopeless'),
              then: skip({ log: false }),
            }),
          };
          const worker = new DatabaseWorker(under, counts, {
            group,
            name: `${i}`,
            database: breaking(when, () => isDead),
            options: isBatch
              ? {
                  ...options,
                  batch: { maxRecords: 4 },
                  batchHandler: async (records, { transaction, attempt, fail }) => {
                    for (const record of records)
                      await handleOne(record, transaction, attempt).catch((error: unknown) => fail(record, error));
                  },
                }
              : { ...options, handler: (record, { transaction, attempt }) => handleOne(record, transaction, attempt) },
          });
          await worker.start();
          alive.push(worker);
          if (killedAfter < 0) continue;
          const isOver = (): boolean => calls >= killedAfter || worker.worker.status().inFlightRecords === 0;
          await until(alive, isOver, STEP_MS);
          if (staysAlive) {
            seen.rivals++;
            continue;
          }
          isDead = true;
          seen.killed++;
          alive.splice(alive.indexOf(worker), 1);
        }
        const wanted = counts.reduce((sum, count) => sum + count, 0) - hopeless.length;
        await until(alive, async () => (await effectsOf(under, group)).size >= wanted, STEP_MS);
        for (const worker of alive) await worker.idle(STEP_MS);
        for (const worker of alive) expect((await worker.stop()).error).toBeUndefined();
        seen.fenced += alive.filter(({ warnings }) => warnings.join().includes('counts no more')).length;
        expect(wrongIn(await effectsOf(under, group), counts, hopeless)).toEqual([]);
      }),
      { numRuns: 7, examples: [[eventful], [{ ...eventful, concurrency: 'serial', isBatch: true }]] },
    );
    // It has not passed because nothing ever happened.
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(0);
  }, 240_000);
});
