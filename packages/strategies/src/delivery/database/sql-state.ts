/** What the connection, or a server that is ending, says: the statement may have been done or not. */
const UNKNOWN_OUTCOME = /^(08|57P|40003|XX|58)/;
/** What passes: the connection, resources, a lock, a conflict with another transaction. */
const PASSES = /^(08|53|57P|55P03|40|25P03|25P04)/;

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
  return state === undefined || !/\d/.test(state) || PASSES.test(state);
}

/** Whether a lock was not granted within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03';
}
