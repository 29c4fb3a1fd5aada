import { beforeAll, describe, expect, it } from '@jest/globals';
import { perKey, skip } from '../index.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { DatabaseWorker, effectsOf, newGroup, until, writeEffect, wrongIn } from './database-worker.ts';
import { breakingOnce, storingOutside } from './failing-databases.ts';

/** Who may write, and what is known when a connection breaks. */
export function describeOwnersInDatabase(opened: () => DatabaseUnderTest): void {
  describe('owners', () => {
    let under: DatabaseUnderTest;
    beforeAll(() => {
      under = opened();
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
