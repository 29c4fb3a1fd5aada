import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Database } from '@kafka-worker/strategies';
import { describeExample, endsOf, failuresOf } from '../harness/describe-example.ts';
import { orders, seeded } from '../harness/example-topic.ts';
import type { ExampleSetup, OpenedExample } from '../harness/run-example.ts';
import { openBank, type Queries } from './bank.ts';
import { balancesAfter, bookingsOf } from './booking.ts';
import { createKafkaWorker, createWorker, open } from './main.ts';

const { records, keys } = seeded;

/** What every account must hold when each payment is booked once: computed from the input alone. */
const payments = [...orders('t', records, keys)].map(({ value }) => ({ value: Buffer.from(String(value)) }));
const balances = Object.fromEntries(balancesAfter(payments.flatMap(bookingsOf)));
const right = {
  ...{ accounts: keys, sumOfBalances: keys * 1_000, expectedSum: keys * 1_000, wrongBalances: 0 },
  balances,
};
const fail = [{ partition: 1, offset: 5 }];

/** The same worker, on a database whose connection breaks when a handler has booked, and before that is committed. */
async function openBreaking(setup: ExampleSetup): Promise<OpenedExample> {
  const { database, audit, close } = await openBank(setup, {});
  return { worker: createWorker(setup, breaking(database, 7)), result: audit, close };
}

describeExample('10', open, (run, kafka) => {
  let data: string;
  beforeAll(() => {
    data = mkdtempSync(join(tmpdir(), 'example-10-'));
  });
  afterAll(() => rmSync(data, { recursive: true }));

  it('books every payment once, keys at the same time and each in its order, and every balance is what the input says', async () => {
    const { summary, calls } = await run();
    expect(summary).toMatchObject({ records, handled: records, failed: 0, order: { partition: false, key: true } });
    expect(summary.maxConcurrent).toBeGreaterThan(1);
    expect(summary.committed).toEqual(endsOf(calls));
    expect(summary.result).toEqual(right);
  }, 180_000);

  it('rolls back what was booked when the connection breaks before the commit, and books it again, once', async () => {
    const { summary } = await run({}, openBreaking);
    expect(summary).toMatchObject({ records, handled: records, failed: 0 });
    expect(summary.result).toEqual(right);
  }, 180_000);

  it('tries a payment that fails again, then ends without passing it over; a restart with a mended handler goes on there', async () => {
    const before = await run({ fail, data }, open, { error: true });
    expect(before.error).toMatchObject({ name: 'HandlerError' });
    expect(failuresOf(before.calls)).toEqual([1, 2, 3].map((attempt) => ({ ...fail[0], attempt })));
    const { topic, group, result } = before.summary;
    expect(before.summary.committed[`${topic}/1`]).toBe(5);
    // What is done by then is done as a whole, also behind the payment that failed.
    expect(result).toMatchObject({ wrongBalances: 0 });
    const { summary, calls } = await run({ topic, group, data });
    expect(calls.find(({ partition }) => partition === 1)).toMatchObject({ offset: 5, attempt: 1, outcome: 'ok' });
    // Nothing that was done comes again.
    expect(before.summary.handled + summary.handled).toBe(records);
    expect(summary.result).toEqual(right);
  }, 180_000);

  if (kafka === 'embedded') {
    it('--mode kafka is refused there, with the reason', async () => {
      const reason = 'the embedded cluster stores no offsets of transactions and fences nobody off';
      await expect(run({ mode: 'kafka' })).rejects.toThrow(`needs a broker, named by --kafka HOST:PORT: ${reason}`);
      const withoutCheck = async (setup: ExampleSetup): Promise<OpenedExample> => ({
        ...{
          worker: createKafkaWorker(setup, 'bookings'),
          result: async () => ({ figures: {} }),
          close: async () => {},
        },
      });
      await expect(run({}, withoutCheck)).rejects.toThrow(reason);
    });
    return;
  }

  describe('--mode kafka', () => {
    const mode = 'kafka';

    it('writes both bookings of every payment once, as a reader with read_committed sees them', async () => {
      const { summary, calls } = await run({ mode });
      expect(summary).toMatchObject({ records, handled: records, failed: 0, order: { partition: true, key: true } });
      expect(summary.committed).toEqual(endsOf(calls));
      expect(summary.result).toEqual({ bookings: 2 * records, repeatedBookings: 0, lostBookings: 0, ...right });
    }, 180_000);

    it('writes nothing of a payment that fails, and ends; a restart with a mended handler goes on there', async () => {
      const before = await run({ mode, fail }, open, { error: true });
      expect(before.error).toMatchObject({ name: 'HandlerError' });
      const { topic, group, committed } = before.summary;
      expect(committed[`${topic}/1`]).toBe(5);
      expect(before.summary.result).toMatchObject({ repeatedBookings: 0, lostBookings: 0 });
      const { summary } = await run({ mode, topic, group });
      expect(summary.result).toEqual({ bookings: 2 * records, repeatedBookings: 0, lostBookings: 0, ...right });
    }, 180_000);
  });
});

/** Breaks once, at the end of the handler call of that number. */
function breaking(inner: Database<Queries>, number: number): Database<Queries> {
  let calls = 0;
  return {
    query: (transaction, sql, parameters) => inner.query(transaction, sql, parameters),
    transaction: (run) =>
      inner.transaction(async (transaction) => {
        let isCall = false;
        const query: Queries['query'] = (sql, parameters) => {
          isCall ||= sql.includes('INSERT INTO example_10');
          return transaction.query(sql, parameters);
        };
        const result = await run({ query });
        if (isCall && ++calls === number)
          throw Object.assign(new Error('the connection was lost'), { code: 'ECONNRESET' });
        return result;
      }),
  };
}
