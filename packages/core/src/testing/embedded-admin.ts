import { nativeTopic } from '../confluent/native-arguments.ts';
import { IllegalStateError } from '../errors.ts';
import type { ConnectOptions, KafkaAdmin } from '../kafka-client.ts';
import { checkNewTopic } from './cluster-checks.ts';

/** Topics of an embedded cluster, through the port. The mock cluster does not know these requests, so topics are made behind its back. */
export class EmbeddedAdmin implements KafkaAdmin {
  readonly #admin: KafkaAdmin;
  readonly #topics: () => { createTopic(topic: string, partitions: number): void; deleteTopic(topic: string): void };
  #isConnected = false;

  constructor(
    admin: KafkaAdmin,
    topics: () => { createTopic(topic: string, partitions: number): void; deleteTopic(topic: string): void },
  ) {
    this.#admin = admin;
    this.#topics = topics;
  }

  async connect(options: ConnectOptions): Promise<void> {
    await this.#admin.connect(options);
    this.#isConnected = true;
  }

  async createTopic(topic: string, options: { readonly partitions: number }): Promise<void> {
    checkNewTopic(topic, options);
    this.#assertConnected();
    this.#topics().createTopic(topic, options.partitions);
  }

  async deleteTopic(topic: string): Promise<void> {
    nativeTopic('topic', topic);
    this.#assertConnected();
    this.#topics().deleteTopic(topic);
  }

  close(): Promise<void> {
    this.#isConnected = false;
    return this.#admin.close();
  }

  #assertConnected(): void {
    if (!this.#isConnected) throw new IllegalStateError('the Kafka client is not connected');
  }
}
