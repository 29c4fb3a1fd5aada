import { nativeTopic } from '../confluent/native-arguments.ts';
import { ClientError, IllegalStateError } from '../errors.ts';
import type { ConnectOptions, KafkaAdmin, KafkaAdminOptions } from '../kafka-client.ts';
import { checkCount, checkMs } from './fake-kafka-checks.ts';
import type { FakeCaller } from './fake-kafka-network.ts';
import type { FakeState } from './fake-kafka-state.ts';

/** Topics of the fake cluster, through the port. */
export class FakeAdmin implements KafkaAdmin {
  readonly #state: FakeState;
  readonly #caller: FakeCaller;
  #phase: 'new' | 'connected' | 'closed' = 'new';

  constructor(state: FakeState, options: KafkaAdminOptions) {
    this.#state = state;
    this.#caller = { groupId: undefined, clientId: options.clientId, clock: options.clock };
  }

  async connect(options: ConnectOptions): Promise<void> {
    checkMs('timeoutMs', options.timeoutMs);
    if (this.#phase !== 'new') throw new IllegalStateError('fakeKafka: connect was called before');
    await this.#state.connect(this.#caller, options.timeoutMs, options.signal);
    if (this.#phase === 'new') this.#phase = 'connected';
  }

  async createTopic(topic: string, options: { readonly partitions: number }): Promise<void> {
    nativeTopic('topic', topic);
    checkCount('partitions', options.partitions, 1);
    await this.#request('createTopic');
    this.#state.topics.create(topic, options.partitions);
  }

  async deleteTopic(topic: string): Promise<void> {
    nativeTopic('topic', topic);
    await this.#request('deleteTopic');
    this.#state.topics.delete(topic);
  }

  async close(): Promise<void> {
    this.#phase = 'closed';
  }

  async #request(call: string): Promise<void> {
    if (this.#phase !== 'connected')
      throw new IllegalStateError(`fakeKafka: ${call} on an admin that is ${this.#phase}`);
    await this.#state.request(
      'admin',
      this.#caller,
      () => new ClientError('the request timed out', { retriable: true }),
    );
  }
}
