import type { Headers, OutgoingRecord } from '@kafka-worker/core';
import { deadLetterHeaders } from '@kafka-worker/core';
import type { TextMapGetter } from '@opentelemetry/api';

/** Reads W3C headers off a record. Of several values of a name the last counts, as Kafka's own clients have it. */
export const recordHeaders: TextMapGetter<Headers> = {
  get: (headers, name) => headers.get(name)?.toString('utf8'),
  keys: (headers) => Array.from(new Set(Array.from(headers, ([name]) => name))),
};

/**
 * The message with these headers. They take the place of those of the same names, except on a dead letter: that keeps what its record had, and they
 * come behind it, where they count; so does the empty state of a trace that has none, for another trace's would count otherwise.
 */
export function withHeaders(message: OutgoingRecord, added: Readonly<Record<string, string>>): OutgoingRecord {
  const given = entriesOf(message.headers);
  const isDeadLetter = given.some(([name]) => name === deadLetterHeaders.topic);
  // The state of a trace goes with it.
  const isWithoutState = Object.hasOwn(added, 'traceparent') && !Object.hasOwn(added, 'tracestate');
  const isReplaced = (name: string): boolean => Object.hasOwn(added, name) || (name === 'tracestate' && isWithoutState);
  if (!isDeadLetter)
    return { ...message, headers: [...given.filter(([name]) => !isReplaced(name)), ...Object.entries(added)] };
  const emptyState =
    isWithoutState && given.some(([name]) => name === 'tracestate') ? [['tracestate', ''] as const] : [];
  return { ...message, headers: [...given, ...Object.entries(added), ...emptyState] };
}

function entriesOf(headers: OutgoingRecord['headers']): (readonly [string, Buffer | string | null])[] {
  if (headers === undefined) return [];
  return Symbol.iterator in headers ? [...headers] : Object.entries(headers);
}
