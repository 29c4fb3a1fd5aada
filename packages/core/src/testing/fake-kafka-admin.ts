import { nativeTopic } from '../confluent/native-arguments.ts';
import { ClientError } from '../errors.ts';
import type { ConnectOptions, KafkaAdmin } from '../kafka-client.ts';
import { checkNewTopic } from './cluster-checks.ts';
import type { FakeConnection } from './fake-kafka-connection.ts';

/** Topics of the fake cluster, through the port. */
export class FakeAdmin implements KafkaAdmin {
  readonly #connection: FakeConnection;

  constructor(connection: FakeConnection) {
    this.#connection = connection;
  }

  connect(options: ConnectOptions): Promise<void> {
    return this.#connection.connect(options);
  }

  async createTopic(topic: string, options: { readonly partitions: number }): Promise<void> {
    checkNewTopic(topic, options);
    await this.#request('createTopic');
    this.#connection.state.topics.create(topic, options.partitions);
  }

  async deleteTopic(topic: string): Promise<void> {
    nativeTopic('topic', topic);
    await this.#request('deleteTopic');
    this.#connection.state.topics.delete(topic);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #request(call: string): Promise<void> {
    this.#connection.assertConnected(call);
    await this.#connection.state.request(
      'admin',
      this.#connection.caller,
      () => new ClientError('the request timed out', { retriable: true }),
    );
  }
}
