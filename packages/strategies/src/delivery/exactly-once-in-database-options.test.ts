import { describe, expect, it } from '@jest/globals';
import { InvalidOptionError, Worker } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { inThreads } from '@kafka-worker/core/threads';
import { exactlyOnceMigration, freezeKey, perKey, pglite, postgres, retry } from '../index.ts';
import { type ExactlyOnceInDatabaseOptions, exactlyOnceInDatabase } from './exactly-once-in-database.ts';

const database = { transaction: () => Promise.reject(new Error('unused')), query: () => Promise.resolve([]) };
const common = { kafka: fakeKafka({ topics: { t: { partitions: 1 } } }), groupId: 'g', topics: 't' };

describe('exactlyOnceInDatabase', () => {
  it.each([
    [{ database: {} }, 'exactlyOnceInDatabase.database: expected a database'],
    [{ database, schema: 'Robert"; DROP' }, 'exactlyOnceInDatabase.schema: expected the name of a schema'],
    [
      { database, idleInTransactionTimeoutMs: 10 },
      'idleInTransactionTimeoutMs: expected a whole number, at least 1000',
    ],
    [{ database, lockTimeoutMs: 0 }, 'lockTimeoutMs: expected a whole number, at least 1'],
    [{ database, lockTimeout: 1 }, 'exactlyOnceInDatabase.lockTimeout: expected no option of that name'],
  ])('refuses %j', (options, message) => {
    const make = (): unknown => exactlyOnceInDatabase(options as unknown as ExactlyOnceInDatabaseOptions<unknown>);
    expect(make).toThrow(InvalidOptionError);
    expect(make).toThrow(message);
  });

  it('refuses what it cannot promise when the worker is made, with the way out', () => {
    const delivery = exactlyOnceInDatabase({ database, idleInTransactionTimeoutMs: 5_000 });
    const handler = (): void => {};
    expect(
      () =>
        new Worker({ ...common, delivery, handler, concurrency: perKey(), onFailure: retry({ then: freezeKey() }) }),
    ).toThrow('Choose freezePartition(), or deadLetter()');
    expect(() => new Worker({ ...common, delivery, handler, handlerTimeoutMs: 5_000 })).toThrow(
      'handlerTimeoutMs: expected less than exactlyOnceInDatabase.idleInTransactionTimeoutMs (5000)',
    );
    expect(() => new Worker({ ...common, delivery, handler, handlerTimeoutMs: 4_999 })).not.toThrow();
    const threaded = inThreads(new URL('file:///handler.js'));
    expect(() => new Worker({ ...common, delivery, handler: threaded })).toThrow('a transaction cannot leave it');
  });

  it('gives the handler a transaction of the type that the database has', () => {
    const own = {
      transaction: <R>(run: (transaction: { own: 1 }) => Promise<R>) => run({ own: 1 }),
      query: database.query,
    };
    const worker = new Worker({
      ...common,
      delivery: exactlyOnceInDatabase({ database: own }),
      handler: (_record, { transaction }) => {
        const one: 1 = transaction.own;
        return one;
      },
    });
    expect(worker.state).toBe('idle');
  });

  it('is refused what is no pool and no PGlite', () => {
    expect(() => postgres({} as never)).toThrow('postgres: expected a Pool of the package pg');
    expect(() => pglite({} as never)).toThrow('pglite: expected a PGlite');
    expect(() => exactlyOnceMigration('a-b')).toThrow('exactlyOnceMigration.schema: expected the name of a schema');
  });
});
