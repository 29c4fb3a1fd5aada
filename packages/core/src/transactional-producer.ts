import type { ConnectOptions, KafkaClientOptions, KafkaConsumer } from './kafka-client.ts';
import type { NextOffset, OutgoingRecord, TopicPartition } from './record.ts';

export interface TransactionalProducerOptions extends KafkaClientOptions {
  /** Whoever calls `init` with the same one fences off those before it. Unique to a process. */
  readonly transactionalId: string;
  /** The broker aborts a transaction that is open for longer, for nobody reads beyond it meanwhile. */
  readonly transactionTimeoutMs: number;
  /** Whether `send` can be used, which tells of each message what has become of it. Without, a message costs a third less. @defaultValue true */
  readonly tellsEach?: boolean;
}

/**
 * Writes messages and offsets of a group in transactions: all of one becomes visible to `read_committed` readers, or nothing. One transaction at a time,
 * one call at a time; only sends overlap.
 *
 * `init`, `sendOffsets`, `commit` and `abort` reject with a `TransactionError` whose `kind` says how to go on, or with an `AuthorizationError`. What has
 * no answer within `timeoutMs` is `retriable`: the same call again takes it up where it is.
 */
export interface TransactionalProducer {
  connect(options: ConnectOptions): Promise<void>;
  /** Once, after connecting: ends what others with the same id have left open, and shuts them out. */
  init(timeoutMs: number): Promise<void>;
  /**
   * Looks at a message without sending it; connected or not.
   * @throws InvalidOptionError for a message that can never be sent, one that is too large among them
   */
  check(message: OutgoingRecord): void;
  /** Begins a transaction; asks nobody. */
  begin(): Promise<void>;
  /**
   * Resolves when the broker has acknowledged the message, which is not visible yet. Order is kept within a partition.
   * @throws InvalidOptionError at once (synchronously) for a message that can never be sent
   * @throws IllegalStateError at once from a producer that was made without `tellsEach`
   * @throws ProduceError; one that is not retriable says that this message can never be written, any other is about its transaction
   */
  send(message: OutgoingRecord): Promise<TopicPartition & { readonly offset: number | undefined }>;
  /**
   * Hands messages over in their order, and resolves when none of them is under way any more, acknowledged or not. Where one was not written, which is not
   * told here, `sendOffsets` or `commit` rejects, and the transaction can only be aborted. So it is after a rejection: `commit` rejects, too.
   * @throws InvalidOptionError for a message that can never be sent
   * @throws ProduceError for one that the client does not take
   * @throws TransactionError when the time is over: what was handed over is still under way, so it is not to be repeated but aborted
   */
  sendAll(messages: Iterable<OutgoingRecord>, timeoutMs: number): Promise<void>;
  /** Adds offsets of the consumer's group, as the member that it is now: refused as `abortable` when the group has gone on without it. */
  sendOffsets(offsets: readonly NextOffset[], consumer: KafkaConsumer, timeoutMs: number): Promise<void>;
  /** Resolves when the broker has made the transaction's outcome final. */
  commit(timeoutMs: number): Promise<void>;
  /** Drops the transaction; what waited to be sent is dropped too. */
  abort(timeoutMs: number): Promise<void>;
  /** Disconnects within a bound. What is open is left to the broker, which aborts it. Idempotent. */
  close(timeoutMs: number): Promise<void>;
}
