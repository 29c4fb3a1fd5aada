import { randomUUID } from 'node:crypto';
import { type Delivery, InvalidOptionError } from '@kafka-worker/core';
import { checkOptions, checkText, checkWhole } from '../option-checks.ts';
import { TransactionalSession } from './transactional-session.ts';

/** Start with `transactionalIdPrefix`. */
export interface ExactlyOnceOptions {
  /**
   * What the transactional id of every process begins with; the rest is made up anew at each start, so that replicas with one configuration do not shut
   * each other out. On a cluster with ACLs the user needs `WRITE` on ids with this prefix.
   */
  readonly transactionalIdPrefix: string;
  /**
   * When the broker aborts the transaction of a process that is gone. Until then nobody reads beyond what it wrote, and nobody goes on where it
   * stopped. At least 1,000. @defaultValue 10_000
   */
  readonly transactionTimeoutMs?: number;
}

/** Kafka Streams has the same: what handlers send is seen that much later, and a transaction costs some milliseconds. */
const COMMIT_EVERY_MS = 100;
const TRANSACTION_TIMEOUT_MS = 10_000;

/**
 * Kafka to Kafka: what a record's handler sends, and the record's offset, become visible together and once, for readers with `read_committed`. Whatever
 * crashes, nothing of it is lost and nothing is there twice. It holds for what is sent by `context.send` and for dead letters, and for nothing
 * else that a handler does.
 * @throws InvalidOptionError
 * @see https://cwiki.apache.org/confluence/display/KAFKA/KIP-447%3A+Producer+scalability+for+exactly+once+semantics
 */
export function exactlyOnce(options: ExactlyOnceOptions): Delivery {
  checkOptions('exactlyOnce', options, ['transactionalIdPrefix', 'transactionTimeoutMs']);
  const { transactionalIdPrefix, transactionTimeoutMs = TRANSACTION_TIMEOUT_MS } = options;
  checkText('exactlyOnce.transactionalIdPrefix', transactionalIdPrefix);
  checkWhole('exactlyOnce.transactionTimeoutMs', transactionTimeoutMs, 1_000);
  return {
    kind: 'delivery',
    name: 'exactlyOnce',
    commitEveryMs: COMMIT_EVERY_MS,
    refuses: {
      actions: ['freeze-key'],
      why: 'what all other keys of the partition send could not be written before the key goes on. Choose freezePartition(), or a dead letter',
    },
    check: ({ kafka: { transactionRefusal } }) => {
      if (transactionRefusal !== undefined)
        throw new InvalidOptionError(
          'delivery',
          `another delivery than exactlyOnce() (${transactionRefusal})`,
          'exactlyOnce()',
        );
    },
    open: (context) =>
      TransactionalSession.open(context, {
        transactionalId: `${transactionalIdPrefix}-${randomUUID()}`,
        transactionTimeoutMs,
      }),
  };
}
