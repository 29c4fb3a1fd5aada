import { isKafkaWorkerError } from '@kafka-worker/core';

/** What the connection, or a server that is ending, says: the statement may have been done or not. */
const UNKNOWN_OUTCOME = /^(08|57P|40003|XX|58)/;
/** What passes: the connection, resources, a lock, a conflict with another transaction. */
const PASSES = /^(08|53|57P|55P03|40|25P03|25P04)/;

/** Transactions of others came between: what the server has rolled back succeeds when it is done again. */
const CONFLICT = /^(40001|40P01)$/;
/** What a server says of a connection that it ends, or does not take, for reasons of its own. */
const CONNECTION = /^(08|57P0[1235])/;

/** The SQLSTATE of an error that the server has answered. */
function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Whether the server has refused it, so that it is certainly not done. Node's own codes, such as EPIPE, are no answer of the server. */
export function isRefused(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== undefined && /\d/.test(state) && !UNKNOWN_OUTCOME.test(state);
}

/** Whether the same can succeed in a moment without a change by a person. What is no answer of the server is the connection's. */
export function passes(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state === undefined && (isMistake(error) || isKafkaWorkerError(error))) return isRetriable(error);
  return state === undefined || !/\d/.test(state) || PASSES.test(state);
}

/** Whether it, or what it was made of, is a deadlock or a conflict with other transactions. */
export function isConflict(error: unknown): boolean {
  let one = error;
  for (let depth = 0; depth < 5 && one instanceof Error; depth++) {
    if (CONFLICT.test(sqlStateOf(one) ?? '')) return true;
    one = one.cause;
  }
  return false;
}

/** Whether a statement that could only fail with its connection says that it is gone. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === undefined || !/\d/.test(state) ? !isMistake(error) : CONNECTION.test(state);
}

/** Somebody's program is wrong: no connection ever says that. */
function isMistake(error: unknown): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
}

/** Whether a lock was not granted within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03';
}

function isRetriable(error: unknown): boolean {
  return isKafkaWorkerError(error) && error.retriable;
}
