import { IllegalStateError } from './errors.ts';
import type { BatchContext, HandlerContext } from './handler.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Logger } from './logger.ts';
import type { KafkaRecord, OutgoingRecord } from './record.ts';

/** What contexts need from the worker; one for all of them. */
export interface ContextServices {
  send(call: HandlerCall, item: CallItem, message: OutgoingRecord): void;
  logFor(record: KafkaRecord<unknown, unknown>, attempt: number): Logger;
}

/**
 * The context of one attempt. Everything is made when it is read: a handler that uses none of it costs one small object.
 */
export class CallContext implements HandlerContext, BatchContext<KafkaRecord<unknown, unknown>> {
  readonly attempt: number;
  readonly #call: HandlerCall;
  readonly #services: ContextServices;
  #log: Logger | undefined;

  constructor(call: HandlerCall, services: ContextServices) {
    this.attempt = call.attempt;
    this.#call = call;
    this.#services = services;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get log(): Logger {
    this.#log ??= this.#services.logFor(this.#call.first.record, this.attempt);
    return this.#log;
  }

  get send(): (message: OutgoingRecord, from?: KafkaRecord<unknown, unknown>) => void {
    return (message, from) => {
      this.#assertOpen('send');
      this.#services.send(this.#call, from === undefined ? this.#call : this.#itemOf(from), message);
    };
  }

  get fail(): (record: KafkaRecord<unknown, unknown>, error: unknown) => void {
    return (record, error) => {
      this.#assertOpen('fail');
      const failedItems = this.#call.failedItems ?? new Map<CallItem, unknown>();
      this.#call.failedItems = failedItems;
      const item = this.#itemOf(record);
      if (!failedItems.has(item)) failedItems.set(item, error);
    };
  }

  #itemOf(record: KafkaRecord<unknown, unknown>): CallItem {
    const items = this.#call.items ?? [this.#call];
    const item =
      items.find((one) => one.record === record) ??
      items.find(
        (one) =>
          one.record.offset === record.offset &&
          one.owner.partition === record.partition &&
          one.owner.topic === record.topic,
      );
    if (item === undefined) {
      throw new IllegalStateError(
        `${record.topic}/${record.partition} offset ${record.offset} is not among this call's records`,
      );
    }
    return item;
  }

  #assertOpen(what: string): void {
    if (this.#call.context === this && !this.#call.hasReturned) return;
    const { topic, partition, offset } = this.#call.received;
    throw new IllegalStateError(
      `context.${what} was called after the handler of ${topic}/${partition} offset ${offset} had returned: await everything inside the handler`,
    );
  }
}
