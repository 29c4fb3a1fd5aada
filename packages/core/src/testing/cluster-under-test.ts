import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type {
  AssignmentEvent,
  KafkaAdmin,
  KafkaCluster,
  KafkaConsumer,
  KafkaConsumerOptions,
  KafkaProducer,
  Poll,
  StartOffset,
} from '../kafka-client.ts';
import type { Logger } from '../logger.ts';
import type { NextOffset, OutgoingRecord, ReceivedRecord, TopicPartition } from '../record.ts';
import type { TransactionalProducer } from '../transactional-producer.ts';

/** A cluster as the contract suite gets it. */
export interface ClusterUnderTest {
  readonly cluster: KafkaCluster;
  /** One of the same kind whose brokers do not answer; the contract suite fails without it. */
  readonly unreachable?: KafkaCluster;
  readonly clock: Clock;
  /** Writes records as a transaction does, so that control records follow them. */
  readonly sendInTransaction?: (messages: readonly OutgoingRecord[]) => Promise<void>;
  dispose(): PromiseLike<void>;
}

/** What an implementation can do; cases of what it cannot are left out. */
export interface ClusterCapabilities {
  readonly groupProtocols: readonly ('classic' | 'consumer')[];
  /** What a commit says of the leader's epoch is kept, and nothing where it says nothing. */
  readonly keepsLeaderEpochs: boolean;
  /** Looks offsets up by date. */
  readonly findsDates: boolean;
  /** Partitions move one by one, so that a member keeps what it keeps. Eager members give everything back first. */
  readonly rebalances: 'cooperative' | 'eager';
  /** A member that has not answered a revocation yet reads on in the partitions that it keeps. librdkafka reads nothing until then. */
  readonly readsOnWhileRevoking?: boolean;
  /** A message may be too large. */
  readonly limitsMessageSize: boolean;
  /** A static member that is away keeps its partitions for a session timeout. */
  readonly keepsStaticMembers?: boolean;
  /** There is `sendInTransaction`. */
  readonly writesControlRecords: boolean;
  /** Transactions are what Kafka says: atomic, fenced, with offsets. */
  readonly transactions: boolean;
  /** A null header value is told from an empty one when it is read. */
  readonly readsNullHeaders: boolean;
}

const CONNECT_MS = 10_000;
const FLUSH_MS = 5_000;
const POLL_MS = 500;
/** Beyond that a test's own timeout would say less. */
const WAIT_MS = 20_000;

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

let names = 0;

/** A name that no other test has. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${process.pid}-${Date.now().toString(36)}-${names++}`;
}

/** Clients, topics and groups of one suite; everything is closed at the end. */
export class TestClients {
  readonly #under: ClusterUnderTest;
  readonly #open: (() => Promise<void>)[] = [];
  #admin: Promise<KafkaAdmin> | undefined;
  #producer: Promise<KafkaProducer> | undefined;

  constructor(under: ClusterUnderTest) {
    this.#under = under;
  }

  get options(): { clock: Clock; logger: Logger } {
    return { clock: this.#under.clock, logger: quiet };
  }

  async topic(partitions: number): Promise<string> {
    const topic = uniqueName('topic');
    await (await this.admin()).createTopic(topic, { partitions });
    return topic;
  }

  async admin(): Promise<KafkaAdmin> {
    this.#admin ??= this.#connected(this.#under.cluster.admin(this.options));
    return this.#admin;
  }

  async producer(): Promise<KafkaProducer> {
    this.#producer ??= this.#connected(this.#under.cluster.producer(this.options));
    return this.#producer;
  }

  /** One that is ready for transactions; with an id of its own unless one is given. */
  async transactional(
    transactionalId: string = uniqueName('transactional'),
    tellsEach = true,
  ): Promise<TransactionalProducer> {
    const options = { ...this.options, transactionalId, transactionTimeoutMs: CONNECT_MS, tellsEach };
    const producer = await this.#connected(this.#under.cluster.transactionalProducer(options));
    await producer.init(CONNECT_MS);
    return producer;
  }

  /** Sends in order, and waits for every acknowledgement. */
  async send(
    messages: readonly OutgoingRecord[],
  ): Promise<(TopicPartition & { readonly offset: number | undefined })[]> {
    const producer = await this.producer();
    return Promise.all(messages.map((message) => producer.send(message)));
  }

  /** As many records as asked for, numbered from `from`, in one partition. */
  sendNumbers(topic: string, partition: number, count: number, from = 0): Promise<unknown> {
    return this.send(Array.from({ length: count }, (_, i) => ({ topic, partition, value: String(from + i) })));
  }

  async consumer(
    options: Partial<KafkaConsumerOptions> & { groupProtocol: 'classic' | 'consumer' },
  ): Promise<KafkaConsumer> {
    const cluster = this.#under.cluster;
    return this.#connected(cluster.consumer({ groupId: uniqueName('group'), ...this.options, ...options }));
  }

  /** A member that answers assignment events by itself: starts at the committed offsets or at 0, and gives back at once. */
  async member(
    topics: readonly string[],
    options: Partial<KafkaConsumerOptions> & { groupProtocol: 'classic' | 'consumer' },
  ): Promise<Member> {
    const consumer = await this.consumer(options);
    consumer.subscribe(topics);
    return new Member(consumer);
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((close) => close()));
    this.#admin = undefined;
    this.#producer = undefined;
  }

  async #connected<Client extends KafkaConsumer | KafkaProducer | TransactionalProducer | KafkaAdmin>(
    client: Client,
  ): Promise<Client> {
    this.#open.push(() => ('send' in client ? client.close(FLUSH_MS) : client.close()));
    await client.connect({ timeoutMs: CONNECT_MS });
    return client;
  }
}

/** A consumer that is polled until something holds. */
export class Member {
  readonly consumer: KafkaConsumer;
  readonly records: ReceivedRecord[] = [];
  readonly events: AssignmentEvent[] = [];
  readonly errors: Error[] = [];
  readonly positions: Map<string, number> = new Map();
  readonly owned: Map<string, TopicPartition> = new Map();
  /** What happens before partitions go. */
  beforeRelease: (partitions: readonly TopicPartition[]) => Promise<void> = () => Promise.resolve();

  constructor(consumer: KafkaConsumer) {
    this.consumer = consumer;
  }

  /** One poll, its events answered, before its records are looked at. */
  async poll(maxRecords = 500, maxWaitMs: number = POLL_MS): Promise<Poll> {
    const poll = await this.consumer.poll(maxRecords, maxWaitMs);
    for (const event of poll.events) await this.#answer(event);
    this.records.push(...poll.records);
    this.errors.push(...poll.errors);
    for (const { topic, partition, offset } of poll.positions) this.positions.set(`${topic}/${partition}`, offset);
    return poll;
  }

  /** Polls until it holds, or fails saying what there was. */
  async until(what: string, holds: (member: this) => boolean, maxRecords = 500): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!holds(this)) {
      if (Date.now() > deadline) throw new Error(`waited in vain until ${what}; ${this.#state()}`);
      await this.poll(maxRecords, POLL_MS);
    }
  }

  untilOwned(count: number): Promise<void> {
    return this.until(`${count} partitions are assigned`, () => this.owned.size === count);
  }

  untilRecords(count: number): Promise<void> {
    return this.until(`${count} records came`, () => this.records.length >= count);
  }

  untilPosition(topic: string, partition: number, offset: number): Promise<void> {
    const name = `${topic}/${partition}`;
    return this.until(`${name} is at ${offset}`, () => this.positions.get(name) === offset);
  }

  /** Offsets in order of arrival. */
  offsets(partition = 0): number[] {
    return this.records.filter((record) => record.partition === partition).map((record) => record.offset);
  }

  /** Looks for a while whether anything of these comes that must not. */
  async receivedWithin(ms: number): Promise<ReceivedRecord[]> {
    const before = this.records.length;
    const deadline = Date.now() + ms;
    while (Date.now() < deadline) {
      await this.poll(500, Math.min(50, ms));
      await sleep(1);
    }
    return this.records.slice(before);
  }

  async #answer(event: AssignmentEvent): Promise<void> {
    this.events.push(event);
    if (event.type === 'assigned') {
      const committed = await this.consumer.committed(event.partitions);
      const starts: StartOffset[] = committed.map(({ topic, partition, offset }) => ({
        topic,
        partition,
        offset: offset ?? 0,
      }));
      this.consumer.assign(starts);
      for (const partition of event.partitions) this.owned.set(`${partition.topic}/${partition.partition}`, partition);
      return;
    }
    if (event.type === 'revoked') await this.beforeRelease(event.partitions);
    this.consumer.release(event.partitions);
    for (const { topic, partition } of event.partitions) this.owned.delete(`${topic}/${partition}`);
  }

  #state(): string {
    const events = this.events.map((event) => `${event.type} ${event.partitions.length}`).join(', ');
    const errors = this.errors.map((error) => error.message).join('; ');
    return `owned ${[...this.owned.keys()].join(' ')}; ${this.records.length} records; events ${events}; errors ${errors}`;
  }
}

/** What a member would commit: behind the last record of each partition. */
export function nextOffsets(records: readonly ReceivedRecord[]): NextOffset[] {
  const next = new Map<string, NextOffset>();
  for (const { topic, partition, offset } of records) {
    next.set(`${topic}/${partition}`, { topic, partition, offset: offset + 1 });
  }
  return [...next.values()];
}
