/**
 * A database that `exactlyOnceInDatabase` keeps its offsets in: PostgreSQL, or something that speaks its SQL. `postgres(pool)` and `pglite(db)` make
 * one; `Transaction` is what the handler gets as `context.transaction`.
 */
export interface Database<Transaction> {
  /**
   * Runs something in a transaction of its own, on a connection that nobody else uses meanwhile: committed when `run` fulfils, rolled back when it
   * rejects. Resolves only when the server has acknowledged the commit. Rejects with what `run` rejected with, or with what the server or the
   * connection said; an error that the server has answered has its SQLSTATE as `code`.
   */
  transaction<Result>(run: (transaction: Transaction) => Promise<Result>): Promise<Result>;
  /** Runs one statement in a transaction, with `$1`, `$2` … as its parameters. Its rows, by column name. */
  query(
    transaction: Transaction,
    sql: string,
    parameters: readonly unknown[],
  ): Promise<readonly Readonly<Record<string, unknown>>[]>;
}
