import { toNativeMessage } from '../confluent/outgoing-message.ts';
import { IllegalStateError, ProduceError, toError } from '../errors.ts';
import type { ConnectOptions, KafkaProducer, KafkaProducerOptions } from '../kafka-client.ts';
import type { OutgoingRecord, TopicPartition } from '../record.ts';
import { checkMs } from './fake-kafka-checks.ts';
import type { FakeCaller } from './fake-kafka-network.ts';
import type { FakeState } from './fake-kafka-state.ts';

/** A producer of the fake cluster: what was sent is in the log when it is acknowledged. */
export class FakeProducer implements KafkaProducer {
  readonly #state: FakeState;
  readonly #caller: FakeCaller;
  #phase: 'new' | 'connected' | 'closed' = 'new';
  /** Messages reach the log in the order in which they were sent, also when one of them is held up. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(state: FakeState, options: KafkaProducerOptions) {
    this.#state = state;
    this.#caller = { groupId: undefined, clientId: options.clientId, clock: options.clock };
  }

  async connect(options: ConnectOptions): Promise<void> {
    checkMs('timeoutMs', options.timeoutMs);
    if (this.#phase !== 'new') throw new IllegalStateError('fakeKafka: connect was called before');
    await this.#state.connect(this.#caller, options.timeoutMs, options.signal);
    if (this.#phase === 'new') this.#phase = 'connected';
  }

  check(message: OutgoingRecord): void {
    // What the real client refuses is refused here.
    toNativeMessage(message);
  }

  send(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number }> {
    this.check(message);
    if (this.#phase !== 'connected') {
      throw new IllegalStateError(`fakeKafka: send on a producer that is ${this.#phase}`);
    }
    const sent = this.#last.then(() => this.#append(message));
    this.#last = sent.catch(() => {});
    return sent.then(async (position) => {
      await this.#request('send-answer', message);
      return position;
    });
  }

  async close(timeoutMs: number): Promise<void> {
    checkMs('timeoutMs', timeoutMs);
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    await new Promise<void>((resolve) => {
      const timer = this.#caller.clock.setTimeout(resolve, timeoutMs);
      void this.#last.then(() => {
        timer.clear();
        resolve();
      });
    });
  }

  async #append(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number }> {
    await this.#request('send', message);
    try {
      const { topic, partition, offset } = this.#state.topics.append(message);
      return { topic, partition, offset };
    } catch (error) {
      throw new ProduceError(message.topic, toError(error).message, { cause: error });
    }
  }

  async #request(operation: 'send' | 'send-answer', message: OutgoingRecord): Promise<void> {
    const timedOut = (): ProduceError => new ProduceError(message.topic, 'the message timed out', { retriable: true });
    await this.#state.request(operation, this.#caller, timedOut, { message });
  }
}
