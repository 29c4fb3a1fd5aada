import { IllegalStateError, toError } from './errors.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { ConnectOptions, KafkaProducer } from './kafka-client.ts';
import type { Plugin } from './plugin.ts';
import type { OutgoingRecord } from './record.ts';

/** Produces what handlers send, at once, and tells each call how its messages fared. The producer is made when the first one is sent. */
export class Sender {
  readonly #makeProducer: () => KafkaProducer;
  readonly #connect: ConnectOptions;
  readonly #outgoing: readonly NonNullable<Plugin['outgoing']>[];
  /** Called when a message of a call that has returned was the last it waited for. */
  readonly #acknowledged: (call: HandlerCall) => void;
  #producer: { readonly client: KafkaProducer; readonly connected: Promise<void> } | undefined;
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
    if (this.#producer === undefined) {
      const client = this.#makeProducer();
      this.#producer = { client, connected: client.connect(this.#connect) };
      // A send that waits for it reports the failure; the next one then tries with a new client.
      this.#producer.connected.catch(() => {
        this.#producer = undefined;
        void client.close(0);
      });
    }
    const { client, connected } = this.#producer;
    return client.isConnected ? client.send(message) : connected.then(() => client.send(message));
  }
}
