import type { Logger } from '../logger.ts';
import type { KafkaRecord, OutgoingRecord, TopicPartition } from '../record.ts';

/** A record as a handler in a thread gets it: a plain copy, that it owns. */
export interface ThreadRecord<Value = Buffer | null, Key = Buffer | null> extends TopicPartition {
  readonly offset: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  /** A Buffer or null; with a deserializer a copy of what that gave, as `structuredClone` makes it. */
  readonly key: Key;
  /** As `key`. Decoding here, instead of by a deserializer, is work that the thread does. */
  readonly value: Value;
  /** In their order; a name may repeat. */
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[];
}

/** What a handler in a thread gets beside its record: the context of its call, from afar. */
export interface ThreadContext {
  /**
   * As `signal` of a handler on the main thread. `aborted` and `throwIfAborted()` tell it also to a loop that never gives way. A handler that has not returned some
   * seconds after it was aborted is ended, and its thread with it.
   */
  readonly signal: AbortSignal;
  readonly attempt: number;
  readonly log: Logger;
  /** As `send` of a handler on the main thread, except that a message which can never be sent is told when the handler has returned, as the failure of its record. */
  readonly send: (message: OutgoingRecord) => void;
}

/** What a file for `inThreads` exports as its default. */
export type ThreadHandler<Value = Buffer | null, Key = Buffer | null> = (
  record: ThreadRecord<Value, Key>,
  context: ThreadContext,
) => unknown;

/** What may be moved to the thread instead of copied once more. */
export interface CopiedRecord {
  readonly record: ThreadRecord<unknown, unknown>;
  readonly moved: ArrayBuffer[];
}

/**
 * A copy of its own for the thread. Bytes are copied here: a Buffer is often a window on memory that it shares, all of which would be cloned with it.
 * @throws DeserializationError
 */
export function copyForThread(record: KafkaRecord<unknown, unknown>): CopiedRecord {
  const moved: ArrayBuffer[] = [];
  const copied = <T>(value: T): T => {
    if (!(value instanceof Uint8Array)) return value;
    const bytes = new Uint8Array(value);
    moved.push(bytes.buffer);
    return bytes as T;
  };
  const { topic, partition, offset, timestamp } = record;
  const headers = Array.from(record.headers, ([name, value]) => [name, copied(value)] as const);
  return {
    record: { topic, partition, offset, timestamp, key: copied(record.key), value: copied(record.value), headers },
    moved,
  };
}

/** What came as bytes is a Buffer again. */
export function asReceived(record: ThreadRecord<unknown, unknown>): ThreadRecord<unknown, unknown> {
  const bytes = <T>(value: T): T =>
    value instanceof Uint8Array
      ? (Buffer.from(value.buffer, value.byteOffset, value.byteLength) as unknown as T)
      : value;
  const { key, value, headers } = record;
  return {
    ...record,
    key: bytes(key),
    value: bytes(value),
    headers: headers.map(([name, header]) => [name, bytes(header)] as const),
  };
}
