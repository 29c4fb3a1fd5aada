import { isKafkaWorkerError } from '@kafka-worker/core';

/** Fields of these names hold what records hold. */
const HIDDEN_NAMES = new Set(['value', 'key', 'headers']);
const HIDDEN = '[redacted]';
const MAX_DEPTH = 5;
const MAX_CAUSES = 5;

/**
 * Fields as plain data that any logger writes as it is: errors with what they know, and, unless `showsValues`, neither the values, keys and headers of
 * records nor bytes of any kind.
 */
export function redactedFields(fields: object, showsValues: boolean): Record<string, unknown> {
  const seen = new Set<object>();
  const plain = (value: unknown, name: string, depth: number): unknown => {
    if (!showsValues && HIDDEN_NAMES.has(name)) return HIDDEN;
    if (typeof value === 'bigint') return String(value);
    if (typeof value !== 'object' || value === null) return value;
    if (ArrayBuffer.isView(value))
      return showsValues
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
        : `[${value.byteLength} bytes]`;
    if (value instanceof Error) return plainError(value);
    if (value instanceof Date) return value.toISOString();
    if (seen.has(value) || depth >= MAX_DEPTH) return '[…]';
    seen.add(value);
    try {
      return Array.isArray(value)
        ? value.map((one) => plain(one, '', depth + 1))
        : Object.fromEntries(entriesOf(value).map(([key, one]) => [key, plain(one, key, depth + 1)]));
    } finally {
      seen.delete(value);
    }
  };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value, name, 0)]));
}

/** A record shows itself by `toJSON`, for its properties are getters. */
function entriesOf(value: object): [string, unknown][] {
  const { toJSON } = value as { readonly toJSON?: unknown };
  const shown: unknown = typeof toJSON === 'function' ? toJSON.call(value) : value;
  return typeof shown === 'object' && shown !== null ? Object.entries(shown) : [];
}

function plainError(error: Error, causes = 0): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    ...(isKafkaWorkerError(error) && { code: error.code }),
    ...(stack !== undefined && { stack }),
    ...(cause instanceof Error && causes < MAX_CAUSES && { cause: plainError(cause, causes + 1) }),
  };
}
