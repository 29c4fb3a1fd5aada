import { beforeAll, describe, expect, it } from '@jest/globals';
import { deadLetter, parallel, perKey, perPartition, retry, serial, skip, stop } from '../index.ts';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { DatabaseWorker, effectsOf, newGroup, storedOf, until, writeEffect, wrongIn } from './database-worker.ts';

const again = retry({ maxAttempts: 3, backoff: { initialMs: 10 }, then: stop() });

/** What becomes of records, and where a worker goes on. */
export function describeRecordsInDatabase(opened: () => DatabaseUnderTest): void {
  describe('records', () => {
    let under: DatabaseUnderTest;
    beforeAll(() => {
      under = opened();
    });

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

    it.each([
      ['perPartition', perPartition],
      ['serial', serial],
    ])(
      'has one transaction for a batch under %s; one of which a record fails is undone, and called again without it',
      async (_name, strategy) => {
        const group = newGroup();
        const calls: number[][] = [];
        const worker = await new DatabaseWorker(under, [6], {
          group,
          options: {
            onFailure: skip({ log: false }),
            concurrency: strategy(),
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
      },
    );

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
  });
}
