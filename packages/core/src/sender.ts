import { IllegalStateError, toError } from './errors.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { ConnectOptions, KafkaProducer } from './kafka-client.ts';
import type { Plugin } from './plugin.ts';
import type { OutgoingRecord } from './record.ts';

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
  readonly #outgoing: readonly NonNullable<Plugin['outgoing']>[];
  /** Called when a message of a call that has returned was the last it waited for. */
  readonly #acknowledged: (call: HandlerCall) => void;
  #producer: OpenProducer | undefined;
  #isClosed = false;

  constructor(options: {
    readonly makeProducer: () => KafkaProducer;
    readonly connect: ConnectOptions;
    readonly plugins: readonly Plugin[];
    readonly acknowledged: (call: HandlerCall) => void;
  }) {
    this.#makeProducer = options.makeProducer;
    this.#connect = options.connect;
    this.#outgoing = options.plugins.flatMap((plugin) =>
      plugin.outgoing === undefined ? [] : [plugin.outgoing.bind(plugin)],
    );
    this.#acknowledged = options.acknowledged;
  }

  send(call: HandlerCall, item: CallItem, message: OutgoingRecord): void {
    if (this.#isClosed) throw new IllegalStateError('the worker has stopped: nothing more can be sent');
    let outgoing = message;
    for (const pass of this.#outgoing) outgoing = pass(outgoing, item.record);
    const attempt = call.attempt;
    const delivered = this.#produce(outgoing);
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

  /** Waits for what was sent, at most `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    await this.#producer?.client.close(timeoutMs);
  }

  #produce(message: OutgoingRecord): Promise<unknown> {
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
        // In order, and before anything else can be sent.
        for (const { message, resolve, reject } of producer.waiting.splice(0))
          client.send(message).then(resolve, reject);
      },
      (error: unknown) => {
        // The next message tries with a new client.
        if (this.#producer === producer) this.#producer = undefined;
        for (const { reject } of producer.waiting.splice(0)) reject(toError(error));
        void client.close(0);
      },
    );
    return producer;
  }
}
