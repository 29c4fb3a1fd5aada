import type { OutgoingRecord } from './record.ts';

/** What an object costs beside its bytes. */
const OVERHEAD_BYTES = 100;

/**
 * A message whose bytes are nobody else's, for one that is produced later: a handler may use its buffers again, and headers may be an iterator that
 * can be read once. What is no message stays as it is, for the check that follows.
 */
export function ownedMessage(message: OutgoingRecord): OutgoingRecord {
  if (typeof message !== 'object' || message === null) return message;
  // One copy that is changed: spreading into it what may be missing costs several times as much, and this is done for every message.
  const copy: { -readonly [name in keyof OutgoingRecord]: OutgoingRecord[name] } = { ...message };
  copy.value = owned(copy.value);
  if (copy.key !== undefined) copy.key = owned(copy.key);
  if (copy.headers !== undefined) copy.headers = ownedHeaders(copy.headers);
  return copy;
}

/** About how much memory a message pins. */
export function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let bytes = OVERHEAD_BYTES + lengthOf(key) + lengthOf(value);
  for (const [name, content] of entriesOf(headers ?? [])) bytes += name.length + lengthOf(content);
  return bytes;
}

type Bytes = Buffer | string | null;
type OutgoingHeaders = NonNullable<OutgoingRecord['headers']>;

function owned<T extends Bytes>(bytes: T): T {
  return Buffer.isBuffer(bytes) ? (Buffer.from(bytes) as T) : bytes;
}

function ownedHeaders(headers: OutgoingHeaders): OutgoingHeaders {
  if (typeof headers !== 'object' || headers === null) return headers;
  const entries: readonly unknown[] = entriesOf(headers);
  const isList = entries.every((entry) => Array.isArray(entry) && entry.length === 2);
  return isList ? (entries as [string, Bytes][]).map(([name, value]) => [name, owned(value)]) : (entries as never);
}

function entriesOf(headers: OutgoingHeaders): readonly (readonly [string, Bytes])[] {
  return Symbol.iterator in headers ? [...headers] : Object.entries(headers);
}

function lengthOf(bytes: Bytes | undefined): number {
  return bytes?.length ?? 0;
}
