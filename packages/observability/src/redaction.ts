import { isKafkaWorkerError } from '@kafka-worker/core';
import { withoutQuotedJson } from './error-text.ts';

/** Fields of these names hold what records hold. */
const HIDDEN_NAMES = new Set(['value', 'key', 'headers']);
const HIDDEN = '[redacted]';
const UNREADABLE = '[unreadable]';
const MAX_DEPTH = 5;
const MAX_CAUSES = 5;

/**
 * Fields as plain data that any logger writes as it is: errors with what they know, and, unless `showsValues`, neither the values, keys and headers of
 * records nor bytes of any kind.
 *
 * @param isHeld whether a value is what the record holds, under whichever name it comes
 */
export function redactedFields(
  fields: object,
  showsValues: boolean,
  isHeld: (value: unknown) => boolean = () => false,
): Record<string, unknown> {
  const seen = new Set<object>();
  const plain = (value: unknown, name: string, depth: number): unknown => {
    if (!showsValues && HIDDEN_NAMES.has(name)) return HIDDEN;
    if (typeof value === 'bigint') return String(value);
    if (ArrayBuffer.isView(value))
      return showsValues
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
        : `[${value.byteLength} bytes]`;
    if (!showsValues && isHeld(value)) return HIDDEN;
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Error) return plainError(value, showsValues ? (text) => text : withoutQuotedJson);
    if (seen.has(value) || depth >= MAX_DEPTH) return '[…]';
    seen.add(value);
    try {
      const shown = toJSON(value);
      // What says itself as text, a date or a URL.
      if (typeof shown !== 'object' || shown === null) return plain(shown, name, depth + 1);
      return Array.isArray(shown) ? shown.map((one) => plain(one, '', depth + 1)) : plainFields(shown, depth + 1);
    } catch {
      return UNREADABLE;
    } finally {
      seen.delete(value);
    }
  };
  const plainFields = (of: object, depth: number): Record<string, unknown> =>
    Object.fromEntries(Object.keys(of).map((name) => [name, plain(readFrom(of, name), name, depth)]));
  return plainFields(fields, 0);
}

/** A record shows itself by `toJSON`, for its properties are getters. */
function toJSON(value: object): unknown {
  const { toJSON: own } = value as { readonly toJSON?: unknown };
  return typeof own === 'function' ? (own.call(value) as unknown) : value;
}

/** One field that cannot be read is no reason to lose the line. */
function readFrom(of: object, name: string): unknown {
  try {
    return (of as Readonly<Record<string, unknown>>)[name];
  } catch {
    return UNREADABLE;
  }
}

function plainError(error: Error, shown: (text: string) => string, causes = 0): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return {
    name,
    message: shown(message),
    ...(isKafkaWorkerError(error) && { code: error.code }),
    ...(stack !== undefined && { stack: shown(stack) }),
    ...(cause instanceof Error && causes < MAX_CAUSES && { cause: plainError(cause, shown, causes + 1) }),
  };
}
