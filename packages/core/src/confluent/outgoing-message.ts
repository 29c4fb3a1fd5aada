import { InvalidOptionError } from '../errors.ts';
import type { OutgoingRecord } from '../record.ts';
import { isBytes } from './kafka-client-options.ts';
import { nativePartitionNumber, nativeTopic } from './native-arguments.ts';

/** A message in the form in which the native producer takes it. */
export interface NativeMessage {
  readonly topic: string;
  readonly partition: number | null;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, Buffer>[] | undefined;
}

/**
 * The native producer takes a buffer without memory for null, and an empty buffer has none: an empty value would become a
 * tombstone. A view of no bytes on memory that is there stays empty; for a header, where null has no other form, the reverse helps.
 */
const empty = Buffer.from(new ArrayBuffer(1), 0, 0);
const nullHeader = Buffer.alloc(0);

/** @throws InvalidOptionError for what can never be sent */
export function toNativeMessage(message: OutgoingRecord): NativeMessage {
  if (typeof message !== 'object' || message === null)
    throw new InvalidOptionError('message', '{ topic, value }', message);
  const { topic, partition, key, value, headers } = message;
  return {
    topic: nativeTopic('message.topic', topic),
    partition: partition === undefined ? null : nativePartitionNumber('message.partition', partition),
    key: bytes('message.key', key ?? null),
    value: bytes('message.value', value),
    headers: headers === undefined ? undefined : nativeHeaders(headers),
  };
}

/** librdkafka's default for `message.max.bytes`. */
export const DEFAULT_MESSAGE_BYTES = 1_000_000;

/** @throws InvalidOptionError for a message that librdkafka would not take for its size */
export function checkSize({ topic, key, value, headers = [] }: NativeMessage, maxBytes: number): void {
  let size = (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers)
    for (const [name, content] of Object.entries(header)) size += Buffer.byteLength(name) + content.length;
  if (size <= maxBytes) return;
  const expected = `a message of at most ${maxBytes} bytes (librdkafka["message.max.bytes"])`;
  throw new InvalidOptionError('message', expected, `${size} bytes for ${topic}`);
}

function bytes(option: string, value: unknown): Buffer | null {
  if (value === null) return null;
  const buffer = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  if (!isBytes(buffer)) throw new InvalidOptionError(option, 'a Buffer, a string or null', value);
  return buffer.length === 0 ? empty : buffer;
}

function nativeHeaders(headers: NonNullable<OutgoingRecord['headers']>): Record<string, Buffer>[] | undefined {
  const list: Record<string, Buffer>[] = [];
  for (const entry of headerEntries(headers)) {
    const path = `message.headers[${list.length}]`;
    if (!Array.isArray(entry)) throw new InvalidOptionError(path, '[name, value]', entry);
    const [name, value] = entry as readonly unknown[];
    if (typeof name !== 'string' || name.includes('\0')) throw new InvalidOptionError(`${path} name`, 'a string', name);
    // defineProperty: a header may be called __proto__.
    list.push(Object.defineProperty({}, name, { value: bytes(path, value) ?? nullHeader, enumerable: true }));
  }
  return list.length === 0 ? undefined : list;
}

function headerEntries(headers: unknown): Iterable<unknown> {
  const refused = (): InvalidOptionError =>
    new InvalidOptionError('message.headers', 'a list of [name, value] or an object', headers);
  if (Array.isArray(headers)) return headers as unknown[];
  if (typeof headers !== 'object' || headers === null) throw refused();
  try {
    return Symbol.iterator in headers ? [...(headers as Iterable<unknown>)] : Object.entries(headers);
  } catch {
    // What only looks like an iterable, by its prototype.
    throw refused();
  }
}
