import { IllegalStateError } from '@kafka-worker/core';

/** Something that is lent to a handler, and how it is taken back. */
export interface Lent<Transaction> {
  readonly transaction: Transaction;
  readonly takeBack: () => void;
}

/** What would end the transaction, or give its connection away, in the drivers that there are. */
const refused: ReadonlySet<string> = new Set(['release', 'end', 'rollback', 'commit']);

/**
 * A transaction for as long as the handler runs: a late call could spoil what is about to be committed, or run, on a connection of a pool, in somebody
 * else's transaction.
 */
export function lend<Transaction>(transaction: Transaction): Lent<Transaction> {
  let isOver = false;
  const check = (name: string): void => {
    if (!isOver) return;
    throw new IllegalStateError(
      `transaction.${name} was used after its handler had returned: await everything inside the handler`,
    );
  };
  const lent = new Proxy(transaction as object, {
    get(target, property) {
      const name = String(property);
      check(name);
      if (refused.has(name))
        throw new IllegalStateError(
          `transaction.${name} is not for handlers: the worker ends the transaction and gives the connection back. Throw to roll back`,
        );
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      // Asked again when it is called: the function may have been kept, and one that returns its object must not give it away.
      return (...given: unknown[]): unknown => {
        check(name);
        const result: unknown = Reflect.apply(value, target, given);
        return result === target ? lent : result;
      };
    },
  }) as Transaction;
  return {
    transaction: lent,
    takeBack: () => {
      isOver = true;
    },
  };
}
