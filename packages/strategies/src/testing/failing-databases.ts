import type { Database } from '../delivery/database/database.ts';
import type { AnyTransaction } from './database-under-test.ts';

/** Its connection breaks once, when the handler call of a certain number is about to be committed, or has been. */
export function breakingOnce(
  inner: Database<AnyTransaction>,
  when: 'before' | 'after',
  number: number,
): Database<AnyTransaction> {
  let calls = -1;
  const lost = (): Error => Object.assign(new Error('the connection was lost'), { code: 'EPIPE' });
  return {
    query: (transaction, sql, parameters) => inner.query(transaction, sql, parameters),
    transaction: async (run) => {
      let isCall = false;
      const result = await inner.transaction(async (transaction) => {
        const inside = await run(
          new Proxy(transaction, {
            get(target, property) {
              const value: unknown = Reflect.get(target, property, target);
              if (typeof value !== 'function') return value;
              return (...given: unknown[]): unknown => {
                // Only the handlers of these tests write there.
                if (String(given[0]).includes('.effects') && !isCall) {
                  isCall = true;
                  calls++;
                }
                return (value as (...all: unknown[]) => unknown).apply(target, given);
              };
            },
          }),
        );
        if (isCall && calls === number && when === 'before') throw lost();
        return inside;
      });
      if (isCall && calls === number && when === 'after') throw lost();
      return result;
    },
  };
}

/** Stores the offsets behind the transaction, in one of its own: what a bad implementation would do. */
export function storingOutside(inner: Database<AnyTransaction>): Database<AnyTransaction> {
  const deferred = new Map<AnyTransaction, { readonly sql: string; readonly parameters: readonly unknown[] }[]>();
  return {
    async transaction(run) {
      const stores: { readonly sql: string; readonly parameters: readonly unknown[] }[] = [];
      const result = await inner.transaction((transaction) => {
        deferred.set(transaction, stores);
        return run(transaction);
      });
      for (const { sql, parameters } of stores)
        await inner.transaction(async (transaction) => {
          await inner.query(transaction, "SELECT set_config('kafka_worker.transaction', $1, true)", [parameters[4]]);
          await inner.query(transaction, sql, parameters);
        });
      return result;
    },
    async query(transaction, sql, parameters) {
      if (!sql.startsWith('WITH owner')) return inner.query(transaction, sql, parameters);
      deferred.get(transaction)?.push({ sql, parameters });
      return [{ owners: 1 }];
    },
  };
}
