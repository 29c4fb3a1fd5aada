import { toNativeMessage } from '../confluent/outgoing-message.ts';
import { ClientError, ProduceError } from '../errors.ts';
import type { ConnectOptions, KafkaProducer } from '../kafka-client.ts';
import { type KafkaWorkerError, toError } from '../kafka-worker-error.ts';
import type { OutgoingRecord, TopicPartition } from '../record.ts';
import { checkMs } from './cluster-checks.ts';
import type { FakeConnection } from './fake-kafka-connection.ts';

/** A producer of the fake cluster: what was sent is in the log when it is acknowledged. */
export class FakeProducer implements KafkaProducer {
  readonly #connection: FakeConnection;
  #fatal: KafkaWorkerError | undefined;
  /** Messages reach the log in the order in which they were sent, also when one of them is held up. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: FakeConnection) {
    this.#connection = connection;
  }

  /** A test ends a producer with a `ClientError` that is not retriable, as what a send fails with. */
  get fatal(): KafkaWorkerError | undefined {
    return this.#fatal;
  }

  connect(options: ConnectOptions): Promise<void> {
    return this.#connection.connect(options);
  }

  check(message: OutgoingRecord): void {
    // What the real client refuses is refused here.
    toNativeMessage(message);
  }

  send(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number }> {
    this.check(message);
    this.#connection.assertConnected('send');
    const sent = this.#last.then(() => this.#append(message));
    this.#last = sent.catch(() => {});
    return sent.then(async (position) => {
      await this.#request('send-answer', message);
      return position;
    });
  }

  async close(timeoutMs: number): Promise<void> {
    checkMs('timeoutMs', timeoutMs);
    if (this.#connection.isClosed) return;
    this.#connection.close();
    await new Promise<void>((resolve) => {
      const timer = this.#connection.caller.clock.setTimeout(resolve, timeoutMs);
      void this.#last.then(() => {
        timer.clear();
        resolve();
      });
    });
  }

  async #append(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number }> {
    await this.#request('send', message);
    try {
      const { topic, partition, offset } = this.#connection.state.topics.append(message);
      return { topic, partition, offset };
    } catch (error) {
      throw new ProduceError(message.topic, toError(error).message, { cause: error });
    }
  }

  async #request(operation: 'send' | 'send-answer', message: OutgoingRecord): Promise<void> {
    const timedOut = (): ProduceError => new ProduceError(message.topic, 'the message timed out', { retriable: true });
    try {
      if (this.#fatal !== undefined) throw this.#fatal;
      await this.#connection.state.request(operation, this.#connection.caller, timedOut, { message });
    } catch (error) {
      if (!(error instanceof ClientError) || error.retriable) throw error;
      this.#fatal = error;
      throw new ProduceError(message.topic, error.message, { retriable: true, cause: error });
    }
  }
}
