/**
 * 10 exactly once: a bank. Each record is a payment from one account to another, and each is booked once.
 *
 * Guarantee: both sides of a payment are booked once, or not at all, whenever the worker is killed: they and the record's offset are committed in one
 * transaction. Of the database, with the balances in it; or, with --mode kafka, of Kafka, where readers with `read_committed` see it. A payment that
 * fails is rolled back and tried again, and none is passed over.
 *
 * Run: npm run example -- 10, or npm run example -- 10 --mode kafka --kafka 127.0.0.1:9092
 */
import { Worker } from '@kafka-worker/core';
import {
  type Database,
  exactlyOnce,
  exactlyOnceInDatabase,
  perKey,
  perPartition,
  retry,
  stop,
} from '@kafka-worker/strategies';
import type { ExampleArguments } from '../harness/example-arguments.ts';
import type { ExampleSetup, OpenedExample } from '../harness/run-example.ts';
import { openBank, type Queries } from './bank.ts';
import { bookingsOf, OPENING_BALANCE, paymentOf } from './booking.ts';
import { openStatement } from './statement.ts';

const onFailure = retry({ maxAttempts: 3, then: stop() });

const book = `
  INSERT INTO example_10.accounts AS old (bank, id, balance) VALUES ($1, $2, ${OPENING_BALANCE} + $3::bigint)
  ON CONFLICT (bank, id) DO UPDATE SET balance = old.balance + $3::bigint`;

export function createWorker(
  { kafka, groupId, topics, plugins }: ExampleSetup,
  database: Database<Queries>,
): Worker<Buffer | null, Buffer | null, { readonly transaction: Queries }> {
  return new Worker({
    ...{ kafka, groupId, topics, plugins, onFailure },
    delivery: exactlyOnceInDatabase({ database }),
    concurrency: perKey({ concurrency: 10 }),
    handler: async (record, { transaction }) => {
      for (const { account, change } of bookingsOf(record)) await transaction.query(book, [groupId, account, change]);
    },
  });
}

/** --mode kafka: the bookings are messages, and whoever wants balances adds them up. */
export function createKafkaWorker({ kafka, groupId, topics, plugins }: ExampleSetup, bookings: string): Worker {
  return new Worker({
    ...{ kafka, groupId, topics, plugins, onFailure },
    delivery: exactlyOnce({ transactionalIdPrefix: groupId }),
    concurrency: perPartition(),
    handler: (record, { send }) => {
      const payment = paymentOf(record);
      for (const booking of bookingsOf(record))
        send({ topic: bookings, key: booking.account, value: JSON.stringify({ payment, ...booking }) });
    },
  });
}

/** What `npm run example` runs: one of the two, with what it writes to, and the balances at the end. */
export async function open(setup: ExampleSetup, given: ExampleArguments): Promise<OpenedExample> {
  if (given.mode === 'kafka') {
    const { topic, audit } = await openStatement(setup);
    return { worker: createKafkaWorker(setup, topic), result: audit, close: async () => {} };
  }
  const { database, audit, close } = await openBank(setup, given);
  return { worker: createWorker(setup, database), result: audit, close };
}
