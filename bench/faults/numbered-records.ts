import clients from '@confluentinc/kafka-javascript';
import { called } from '../called.ts';

const PARTITIONS = 6;
const FLUSH_MS = 60_000;

/** A topic whose records are numbered by key, from 0 on: a value is its record's number. */
export class NumberedRecords {
  static readonly keys: number = 60;
  readonly topic: string;
  readonly #producer: InstanceType<typeof clients.RdKafka.Producer>;
  #produced = 0;

  private constructor(brokers: string, topic: string) {
    this.topic = topic;
    this.#producer = new clients.RdKafka.Producer({
      ...{ 'bootstrap.servers': brokers, 'linger.ms': 5, acks: 'all', 'enable.idempotence': true },
      'message.timeout.ms': 300_000,
    });
    this.#producer.on('event.error', () => {});
  }

  static async create(brokers: string, topic: string): Promise<NumberedRecords> {
    const records = new NumberedRecords(brokers, topic);
    const admin = clients.RdKafka.AdminClient.create({ 'bootstrap.servers': brokers });
    // With as many replicas as the cluster gives by itself.
    const newTopic = { topic, num_partitions: PARTITIONS, replication_factor: -1 };
    await called<void>((done) => admin.createTopic(newTopic, done));
    admin.disconnect();
    await called((done) => records.#producer.connect({ topic, timeout: 30_000 }, done));
    return records;
  }

  /** The how manyth record it is that has these, over all keys, from 0 on. */
  static numberOf(key: Buffer | null, value: Buffer | null): number {
    return Number(String(value)) * NumberedRecords.keys + Number(String(key).slice('key-'.length));
  }

  get produced(): number {
    return this.#produced;
  }

  /** Resolves when the broker has all of them. */
  async produce(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const key = this.#produced % NumberedRecords.keys;
      const sequence = Math.floor(this.#produced / NumberedRecords.keys);
      this.#producer.produce(this.topic, key % PARTITIONS, Buffer.from(`${sequence}`), `key-${key}`);
      this.#produced++;
    }
    await called((done) => this.#producer.flush(FLUSH_MS, done));
  }

  async close(): Promise<void> {
    await called((done) => this.#producer.disconnect(done));
  }
}
