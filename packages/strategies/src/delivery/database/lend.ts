import { IllegalStateError } from '@kafka-worker/core';

/** Something that is lent to a handler, and how it is taken back. */
export interface Lent<Transaction> {
  readonly transaction: Transaction;
  readonly takeBack: () => void;
}

/**
 * A transaction for as long as the handler runs: a late call could spoil what is about to be committed, or run, on a connection of a pool, in somebody
 * else's transaction.
 */
export function lend<Transaction>(transaction: Transaction): Lent<Transaction> {
  let isOver = false;
  const lent = new Proxy(transaction as object, {
    get(target, property) {
      const name = String(property);
      if (isOver)
        throw new IllegalStateError(
          `transaction.${name} was used after its handler had returned: await everything inside the handler`,
        );
      if (name === 'release' || name === 'end')
        throw new IllegalStateError(`transaction.${name} is not for handlers: the connection is given back by itself`);
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value as (...given: unknown[]) => unknown).bind(target) : value;
    },
  }) as Transaction;
  return {
    transaction: lent,
    takeBack: () => {
      isOver = true;
    },
  };
}
