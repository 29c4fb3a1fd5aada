import { IllegalStateError } from './errors.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { ConnectOptions, KafkaProducer } from './kafka-client.ts';
import { toError } from './kafka-worker-error.ts';
import type { PassOutgoing } from './outgoing-plugins.ts';
import type { KafkaRecord, OutgoingRecord } from './record.ts';

interface OpenProducer {
  readonly client: KafkaProducer;
  isReady: boolean;
  /** Messages that were sent before it was ready. */
  readonly waiting: {
    readonly message: OutgoingRecord;
    readonly resolve: (delivered: unknown) => void;
    readonly reject: (error: Error) => void;
  }[];
}

/** Produces what handlers send, at once, and tells each call how its messages fared. The producer is made when the first one is sent. */
export class Sender {
  readonly #makeProducer: () => KafkaProducer;
  readonly #connect: ConnectOptions;
  readonly #pass: PassOutgoing;
  /** Called when a message of a call that has returned was the last it waited for. */
  readonly #acknowledged: (call: HandlerCall) => void;
  #producer: OpenProducer | undefined;
  /** Producers that could not be connected, or are of no more use, until they are closed. */
  readonly #leaving = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: {
    readonly makeProducer: () => KafkaProducer;
    readonly connect: ConnectOptions;
    readonly pass: PassOutgoing;
    readonly acknowledged: (call: HandlerCall) => void;
  }) {
    this.#makeProducer = options.makeProducer;
    this.#connect = options.connect;
    this.#pass = options.pass;
    this.#acknowledged = options.acknowledged;
  }

  send(call: HandlerCall, item: CallItem, message: OutgoingRecord): void {
    if (this.#isClosed) throw new IllegalStateError('the worker has stopped: nothing more can be sent');
    assertOwned(call, item);
    const attempt = call.attempt;
    const delivered = this.write(message, item.record);
    call.pendingSends++;
    const settle = (failure: { readonly error: unknown } | undefined): void => {
      if (call.attempt === attempt) call.failure ??= failure;
      call.pendingSends--;
      if (call.pendingSends === 0 && call.context === undefined) this.#acknowledged(call);
    };
    delivered.then(
      () => settle(undefined),
      (error: unknown) => settle({ error: toError(error) }),
    );
  }

  /** Produces a message that stands for a record; resolves when the broker has acknowledged it. */
  write(message: OutgoingRecord, source: KafkaRecord<unknown, unknown>): Promise<unknown> {
    if (this.#isClosed) throw new IllegalStateError('the worker has stopped: nothing more can be sent');
    return this.#produce(this.#pass(message, source));
  }

  /** Waits for what was sent, at most `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    await Promise.all([this.#producer?.client.close(timeoutMs), ...this.#leaving]);
  }

  #produce(message: OutgoingRecord): Promise<unknown> {
    const last = this.#producer;
    if (last?.client.fatal !== undefined) this.#abandon(last);
    this.#producer ??= this.#open();
    const { isReady, client, waiting } = this.#producer;
    if (isReady) return client.send(message);
    client.check(message);
    return new Promise((resolve, reject) => {
      waiting.push({ message, resolve, reject });
    });
  }

  #open(): OpenProducer {
    const client = this.#makeProducer();
    const producer: OpenProducer = { client, isReady: false, waiting: [] };
    client.connect(this.#connect).then(
      () => {
        producer.isReady = true;
        // In order, and before anything else can be sent. What it refuses at once by now fails its own call only.
        for (const { message, resolve, reject } of producer.waiting.splice(0)) {
          const send = async (): Promise<unknown> => client.send(message);
          send().then(resolve, reject);
        }
      },
      (error: unknown) => {
        this.#abandon(producer);
        for (const { reject } of producer.waiting.splice(0)) reject(toError(error));
      },
    );
    return producer;
  }

  /** The next message tries with a new producer. */
  #abandon(producer: OpenProducer): void {
    if (this.#producer === producer) this.#producer = undefined;
    const closing: Promise<void> = producer.client
      .close(0)
      .catch(() => {})
      .finally(() => this.#leaving.delete(closing));
    this.#leaving.add(closing);
  }
}

/** Who has the partition now handles the record again, and sends for it: what is sent here would come twice, or out of order. */
export function assertOwned(call: HandlerCall, item: CallItem): void {
  const items = item === call ? (call.items ?? [call]) : [item];
  if (!items.every(({ owner }) => owner.phase === 'ended')) return;
  const { topic, partition, offset } = item.received;
  throw new IllegalStateError(
    `${topic}/${partition} offset ${offset}: nothing can be sent for it, since its partition is not assigned to this worker any more: heed context.signal`,
  );
}
