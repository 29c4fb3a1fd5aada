import type { Logger } from './logger.ts';
import type { KafkaRecord, OutgoingRecord } from './record.ts';

/** What a handler gets beside its record. Valid until the handler has returned: a later `send` throws `IllegalStateError`. */
export interface HandlerContext {
  /**
   * Aborted when the handler is to return: `handlerTimeoutMs` is up, a stop's time is up, or its partition was revoked and `revokeDrainMs` is up, was
   * lost, or was sought elsewhere. `reason` is the error that says which. Made when it is first read.
   */
  readonly signal: AbortSignal;
  /** 1 for the first call with this record. */
  readonly attempt: number;
  /** Knows which record it logs for (of a batch the first one): its lines carry topic, partition, offset and attempt. */
  readonly log: Logger;
  /**
   * Produces a message as part of handling the record: the record counts as handled only when the broker has acknowledged every
   * message, and a message that fails is the record's failure. Safe to destructure.
   *
   * Under `exactlyOnce()` it only takes the message: what was sent is written in the transaction that commits the record, and an attempt that fails
   * leaves nothing behind. Topic name, types and size are looked at when it is called; a message that cannot be written then is the record's failure.
   * @throws InvalidOptionError for a message that can never be sent
   * @throws IllegalStateError when the record is over
   */
  readonly send: (message: OutgoingRecord) => void;
}

/** What a batch handler gets beside its records. */
export interface BatchContext<Item> extends Omit<HandlerContext, 'send'> {
  /** As {@link HandlerContext.send}; `from` is the record that the message belongs to. */
  readonly send: (message: OutgoingRecord, from?: Item) => void;
  /** Fails one record of the batch: the policy decides for it alone, the others of this call count as handled. Safe to destructure. */
  readonly fail: (record: Item, error: unknown) => void;
}

/** What a handler may bring along: a plugin that is started before the worker connects, and stopped last, such as the threads that it runs in. */
export const handlerPlugin: unique symbol = Symbol.for('@kafka-worker/handler-plugin');

/** The user's function. A thenable is awaited, its value ignored; anything else settles the record at once. */
export type Handler<Value, Key, Extra> = (record: KafkaRecord<Value, Key>, context: HandlerContext & Extra) => unknown;

/** The user's function for up to `batch.maxRecords` consecutive records of one lane. If it throws, the batch fails as a whole. */
export type BatchHandler<Value, Key, Extra> = (
  records: readonly KafkaRecord<Value, Key>[],
  context: BatchContext<KafkaRecord<Value, Key>> & Extra,
) => unknown;
