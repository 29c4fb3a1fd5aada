import type { ClientStatistics } from './client-statistics.ts';
import type { Clock } from './clock.ts';
import type { KafkaWorkerError } from './kafka-worker-error.ts';
import type { Logger } from './logger.ts';
import type { NextOffset, OutgoingRecord, ReceivedRecord, TopicPartition } from './record.ts';
import type { TransactionalProducer, TransactionalProducerOptions } from './transactional-producer.ts';

/**
 * The port between the engine and a Kafka client. One contract suite, `describeKafkaCluster`, runs on every implementation.
 *
 * What every implementation promises:
 * - Callers pass only what is valid; anything else is refused with an `InvalidOptionError` before it reaches native code.
 * - Everything that waits has a bound, and every rejection is a `KafkaWorkerError`.
 */
export interface KafkaCluster {
  readonly kind: 'kafka-cluster';
  /** The brokers, for messages to people. */
  readonly brokers: readonly string[];
  /** A consumer that is a member of a group. Nothing is connected yet. */
  consumer(options: KafkaConsumerOptions): KafkaConsumer;
  /** A producer. Nothing is connected yet. */
  producer(options: KafkaProducerOptions): KafkaProducer;
  /** Why nothing can be promised about transactions over it, for people; undefined where they are what Kafka says. */
  readonly transactionRefusal?: string;
  /**
   * A producer of transactions. Nothing is connected yet.
   * @throws InvalidOptionError where there is a `transactionRefusal`
   */
  transactionalProducer(options: TransactionalProducerOptions): TransactionalProducer;
  /** For metadata and topics. Nothing is connected yet. */
  admin(options: KafkaAdminOptions): KafkaAdmin;
}

/** What every client is given. */
export interface KafkaClientOptions {
  /** Distinguishes this client in broker logs and quotas. */
  readonly clientId?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called from time to time by a client that keeps statistics and is told to; they are read only by whoever wants them. */
  readonly statistics?: (read: () => ClientStatistics) => void;
}

/** Who fetches the records, as the client calls it (`direct` or `librdkafka`), and why that one. */
export interface ReaderChoice {
  readonly reader: string;
  readonly why: string;
}

export interface KafkaConsumerOptions extends KafkaClientOptions {
  readonly groupId: string;
  readonly groupInstanceId?: string;
  readonly groupProtocol: 'classic' | 'consumer';
  /** Called once, before the first assignment, by a client that can read in several ways. */
  readonly reading?: (choice: ReaderChoice) => void;
}
export interface KafkaProducerOptions extends KafkaClientOptions {}
export interface KafkaAdminOptions extends KafkaClientOptions {}

/** How a client is connected. */
export interface ConnectOptions {
  /** Until then it is tried again, with backoff and jitter. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Where reading starts. */
export interface StartOffset extends TopicPartition {
  readonly offset: number;
  /** The leader's epoch in which what lies below was written. With it a reader that can tell reports a log that has lost that (KIP-320). */
  readonly leaderEpoch?: number;
}

/**
 * A place in a log: its start; its end, which under read_committed is in front of what open transactions have written; its end with all that
 * is in it; the first record that is not older than a date.
 */
export type LogPosition = 'earliest' | 'latest' | 'high-watermark' | Date;

/** A partition's committed offset; undefined where the group has none. */
export interface CommittedOffset extends TopicPartition {
  readonly offset: number | undefined;
  readonly metadata: string | undefined;
  /** As it was committed; left out where none was. */
  readonly leaderEpoch?: number;
}

/**
 * The ends of a partition's log as the client last heard of them. Under read_committed the end of a partition that is read as far as can be is
 * the last stable offset; of any other it is the high watermark, so that what open and aborted transactions wrote counts until reading gets there.
 */
export interface Watermarks {
  readonly earliest: number;
  readonly latest: number;
}

/**
 * A change of what the group gives this member, in the order in which it happened.
 * `assigned` is answered by one `assign` of exactly those partitions, `revoked` and `lost` by one `release` of exactly those; an empty list
 * is never reported, the client answers it by itself.
 */
export type AssignmentEvent =
  | { readonly type: 'assigned'; readonly partitions: readonly TopicPartition[] }
  /** Still ours until `release`: what is finished can be committed before. */
  | { readonly type: 'revoked'; readonly partitions: readonly TopicPartition[] }
  /** Already somebody else's: committing is of no use. */
  | { readonly type: 'lost'; readonly partitions: readonly TopicPartition[] };

/** What one poll brought. `events` come before `records`, in time. */
export interface Poll {
  readonly events: readonly AssignmentEvent[];
  /** In offset order within a partition, and only of partitions that are assigned and not released. */
  readonly records: readonly ReceivedRecord[];
  /**
   * Read positions of partitions that are caught up: every record below has been polled (in this poll at the latest), and what lies between the
   * last record and the position is no record: control records, compaction gaps, aborted transactions.
   */
  readonly positions: readonly NextOffset[];
  /** What went wrong since the last poll. A fetch error takes no record with it. One that is not `retriable` means the client is of no more use. */
  readonly errors: readonly KafkaWorkerError[];
}

/** A member of a group, and the records of the partitions that it is assigned. */
export interface KafkaConsumer {
  /** Whether the group has taken it in since it subscribed, also when there is no partition left for it; false again once it has lost what it had. */
  readonly isMember: boolean;
  /**
   * Connects, retrying until the time is up.
   * @throws ConnectionError, AuthenticationError, AuthorizationError, UnsupportedBrokerError
   */
  connect(options: ConnectOptions): Promise<void>;
  /** Joins the group for these topics; replaces what was subscribed before. */
  subscribe(topics: readonly string[]): void;
  /**
   * Waits until there is anything to report, `wake` is called, or `maxWaitMs` is over. Brings at most `maxRecords` records, which may be 0 to take
   * events only. One call at a time. The membership, acknowledgements and events do not depend on being polled.
   * Never rejects while the consumer is open.
   */
  poll(maxRecords: number, maxWaitMs: number): Promise<Poll>;
  /** Ends the wait of the poll under way, if there is one. */
  wake(): void;
  /**
   * Resolves when the broker has acknowledged, whether or not anybody polls.
   * @throws CommitError which names each partition that was not committed
   */
  commit(offsets: readonly NextOffset[]): Promise<void>;
  /** What the group has committed, also for partitions that are not assigned here. Rejects retriable errors as such. */
  committed(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]>;
  /** Takes an `assigned` event's partitions over, from these offsets. Never paused, whatever they were before. */
  assign(partitions: readonly StartOffset[]): void;
  /** Lets a `revoked` or `lost` event's partitions go. No record of them is polled from then on. */
  release(partitions: readonly TopicPartition[]): void;
  /** No record of these is polled until `resume`; what is buffered of them comes then. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** The next record polled of each is the first at or behind that offset; resolves when that holds. */
  seek(partitions: readonly StartOffset[]): Promise<void>;
  /** Undefined while the client has not heard of them. Does not ask the broker. */
  watermarks(partition: TopicPartition): Watermarks | undefined;
  /** Asks the broker. Where no record is as young as a date it is the end, as `latest` has it. */
  offsetsFor(partitions: readonly TopicPartition[], position: LogPosition): Promise<StartOffset[]>;
  /**
   * Partition counts of the named topics, of all topics without names (internal ones left out). A topic that does not exist is not in the map.
   * Asks the broker. Never creates a topic.
   */
  partitionCounts(topics?: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * Leaves the group and disconnects, within a bound of its own. Answers what is still assigned itself and commits nothing.
   * A static member (`groupInstanceId`) leaves without a trace, so that the group keeps its partitions for its return, unless `leaveGroup` says
   * that it does not return. Idempotent: what the first call says holds.
   */
  close(options?: { readonly leaveGroup?: boolean }): Promise<void>;
}

/** Produces messages one by one, batching below. */
export interface KafkaProducer {
  /** What ended it for good, such as a fatal error of its idempotence: what is sent after that needs a new producer. Undefined as long as it is of use. */
  readonly fatal: KafkaWorkerError | undefined;
  connect(options: ConnectOptions): Promise<void>;
  /**
   * Looks at a message without sending it; connected or not.
   * @throws InvalidOptionError for a message that can never be sent
   */
  check(message: OutgoingRecord): void;
  /**
   * Resolves with where the message is once the broker has acknowledged it (`acks=all`, idempotent). Order is kept within a partition. Of a message whose
   * first acknowledgement got lost the broker only says that it has it: its `offset` is undefined.
   * @throws InvalidOptionError at once (synchronously) for a message that can never be sent
   * @throws ProduceError
   */
  send(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number | undefined }>;
  /** Waits for what was sent, at most `timeoutMs`, then disconnects. Idempotent. */
  close(timeoutMs: number): Promise<void>;
}

/** Topics and group offsets, for tools and tests. */
export interface KafkaAdmin {
  connect(options: ConnectOptions): Promise<void>;
  createTopic(
    topic: string,
    options: { readonly partitions: number; readonly config?: Readonly<Record<string, string>> },
  ): Promise<void>;
  deleteTopic(topic: string): Promise<void>;
  close(): Promise<void>;
}
