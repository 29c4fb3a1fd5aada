import { RetriableError } from '@kafka-worker/core';

/** A transaction was rolled back for a reason that has nothing to do with its records, and that passes: the same can be done again. */
export class UndoneError extends RetriableError {
  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`the database has undone the transaction: ${why}`, { cause });
  }
}
