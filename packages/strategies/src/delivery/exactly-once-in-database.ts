import { type Delivery, InvalidOptionError } from '@kafka-worker/core';
import { checkOptions, checkWhole } from '../option-checks.ts';
import type { Database } from './database/database.ts';
import { DatabaseSession } from './database/database-session.ts';
import { DEFAULT_SCHEMA, quoteSchema } from './database/exactly-once-migration.ts';
import { OffsetStore } from './database/offset-store.ts';
import { within } from './database/within.ts';

/** What a database gets to answer beyond the time that a lock may take. */
const ANSWER_MS = 30_000;

/** Where the offsets are, and how long transactions may stand in the way of others. */
export interface ExactlyOnceInDatabaseOptions<Transaction> {
  /** Where the handler writes: `postgres(pool)`, `pglite(db)`, or one of your own. */
  readonly database: Database<Transaction>;
  /** Where the tables are that `exactlyOnceMigration(schema)` makes. @defaultValue 'kafka_worker' */
  readonly schema?: string;
  /**
   * How long a transaction may be open with nothing running in it, in milliseconds, 1,000 or more: PostgreSQL ends it then, and the record has failed.
   * So long at most an owner that stands still delays the next one. Above `handlerTimeoutMs`, if that is set. @defaultValue 60_000
   */
  readonly idleInTransactionTimeoutMs?: number;
  /**
   * How long one try to take a partition waits for an open transaction of the owner before, in milliseconds, 1 or more. It is tried again, with a warning
   * each time, and nothing of the partition is handled meanwhile. @defaultValue 5_000
   */
  readonly lockTimeoutMs?: number;
}

/**
 * What a handler writes in `context.transaction`, it writes once for each record: the record's offset is stored in the same transaction, and the
 * worker starts from what is stored there, whatever Kafka's offsets say. Both are done, or none: through failures, crashes and rebalances.
 *
 * A worker that has lost a partition writes nothing of it any more, however late it comes. What a handler does outside of the transaction is done at
 * least once. docs/exactly-once.md says precisely what is promised and what is not.
 * @throws InvalidOptionError
 */
export function exactlyOnceInDatabase<Transaction>(
  options: ExactlyOnceInDatabaseOptions<Transaction>,
): Delivery<{ readonly transaction: Transaction }> {
  const name = 'exactlyOnceInDatabase';
  checkOptions(name, options, ['database', 'schema', 'idleInTransactionTimeoutMs', 'lockTimeoutMs']);
  const { database, schema = DEFAULT_SCHEMA, idleInTransactionTimeoutMs = 60_000, lockTimeoutMs = 5_000 } = options;
  if (typeof database?.transaction !== 'function' || typeof database.query !== 'function')
    throw new InvalidOptionError(`${name}.database`, 'a database, such as postgres(pool) or pglite(db)', database);
  const quoted = quoteSchema(`${name}.schema`, schema);
  checkWhole(`${name}.idleInTransactionTimeoutMs`, idleInTransactionTimeoutMs, 1_000);
  checkWhole(`${name}.lockTimeoutMs`, lockTimeoutMs, 1);
  return {
    kind: 'delivery',
    name,
    isAtomic: true,
    refuses: {
      actions: ['freeze-key'],
      why: 'a frozen key would leave a row for every record above it, for as long as it is frozen. Choose freezePartition(), or deadLetter()',
    },
    refusesSends:
      'a message is no part of the transaction, and would be lost or sent without it. Write it to a table in the transaction, for something else to send, or choose atLeastOnce()',
    check: ({ handlerTimeoutMs, isThreaded }) => {
      if (isThreaded)
        throw new InvalidOptionError(
          'handler',
          `a handler in this thread under ${name}, for a transaction cannot leave it`,
          'inThreads()',
        );
      if (handlerTimeoutMs !== undefined && handlerTimeoutMs >= idleInTransactionTimeoutMs) {
        const expected = `less than ${name}.idleInTransactionTimeoutMs (${idleInTransactionTimeoutMs}), or the database would end the transaction first`;
        throw new InvalidOptionError('handlerTimeoutMs', expected, handlerTimeoutMs);
      }
    },
    open: async (context) => {
      const { groupId } = context;
      const store = new OffsetStore({ database, schema: quoted, groupId, lockTimeoutMs, idleInTransactionTimeoutMs });
      await within(store.check(), context.connectTimeoutMs, context.clock);
      return new DatabaseSession({ database, store, context, answerTimeoutMs: lockTimeoutMs + ANSWER_MS });
    },
  };
}
