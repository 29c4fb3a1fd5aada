import type { Clock } from './clock.ts';
import type { PolicyAction } from './failure.ts';
import type { CommittedOffset, KafkaClientOptions, KafkaCluster, KafkaConsumer, StartOffset } from './kafka-client.ts';
import type { Logger } from './logger.ts';
import type { KafkaRecord, NextOffset, OutgoingRecord, TopicPartition } from './record.ts';
import type { CommonWorkerOptions } from './worker-options.ts';

/** What is promised about each record's effects, and how progress becomes durable. `Extra` is what the handler's context gains. */
export interface Delivery<Extra extends object = object> {
  readonly kind: 'delivery';
  readonly name: string;
  /** What is `received` is committed by that: it is handled before its partition is released or the worker stops, as far as the time goes. */
  readonly commitsReceived?: boolean;
  /** What a failure policy may not decide under it, and why, with the way out. */
  readonly refuses?: { readonly actions: readonly PolicyAction[]; readonly why: string };
  /** How often progress is committed when the worker's option `commit.everyMs` does not say. @defaultValue 1_000 */
  readonly commitEveryMs?: number;
  /** What a handler call does is done as a whole, or undone as a whole: a batch of which a record failed alone is undone, and called again without it. */
  readonly isAtomic?: boolean;
  /** Why a handler must not send messages under it, with the way out: `context.send` throws. */
  readonly refusesSends?: string;
  /**
   * Asked when a worker is made, with its options, defaults filled in.
   * @throws InvalidOptionError where the promise could not be kept, with the way out
   */
  check?(worker: DeliveryCheck): void;
  /** Called once per run of a worker, when its consumer is connected and has not joined yet. */
  open(context: DeliveryContext): Promise<DeliverySession<Extra>>;
}

/** Of a worker's options, those that a promise may depend on. */
export type DeliveryCheck = Pick<
  CommonWorkerOptions<never, never, object>,
  'kafka' | 'concurrency' | 'handlerTimeoutMs'
> & {
  /** The handler runs in threads of its own. */
  readonly isThreaded: boolean;
};

/** What a delivery has to work with. */
export interface DeliveryContext {
  readonly kafka: KafkaCluster;
  readonly groupId: string;
  readonly consumer: KafkaConsumer;
  /** How long its own clients may take to connect. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** To be given to its own clients. */
  readonly statistics: NonNullable<KafkaClientOptions['statistics']>;
  /**
   * The store of the delivery knows more of these partitions than this worker does: nothing that is received of them, or runs, counts any more (no
   * policy is asked about it), and they start again where `startOffsets` and `committed` say then.
   */
  restart(partitions: readonly TopicPartition[], reason: Error): void;
}

/** A message that is kept until its record is committed. Its identity stands for it: one that was written is never written again. */
export interface KeptSend {
  /** The record's. */
  readonly offset: number;
  readonly message: OutgoingRecord;
}

/** How far a partition is. */
export interface PartitionProgress extends NextOffset {
  /** Under a session that keeps what is sent: what the records between the next offset before and this one have sent, in offset order. */
  readonly sends?: readonly KeptSend[];
  /**
   * Under a session with `isFinished`: offsets above the next offset that are finished, and were not when the session was asked; none where it is left out.
   * They come with each commit until one succeeds, also when the next offset stays where it is.
   */
  readonly finished?: readonly number[];
}

/** Per partition the next offset: everything before it is finished. */
export interface Progress {
  readonly partitions: readonly PartitionProgress[];
}

/** A delivery at work for one run of a worker. Calls of `commit` never overlap. */
export interface DeliverySession<Extra extends object = object> {
  /** Where newly assigned partitions start, for a delivery with a store of its own; a partition left out starts as Kafka's offsets say. */
  startOffsets?(partitions: readonly TopicPartition[]): Promise<StartOffset[]>;
  /** What is committed, for a delivery with a store of its own: asked after `startOffsets`, and instead of Kafka's offsets, whatever those say. */
  committed?(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]>;
  /**
   * Whether a record is finished already, as the store knows. Asked when it is received: then it is settled without a handler call. And asked when it is
   * settled: what the store does not know then, and lies above the next offset (it was skipped, or has become a dead letter), comes to `commit`.
   */
  isFinished?(record: KafkaRecord): boolean;
  /**
   * Awaited before any of a polled chunk is dispatched; `next` is what lies behind the chunk. What a `CommitError` that
   * is retriable (or that a rebalance explains) names is not dispatched, and polled again; any other error ends the worker.
   */
  received?(records: readonly KafkaRecord[], next: readonly NextOffset[]): Promise<void>;
  /** What the context of a record's handler call gains. */
  contextFor?(record: KafkaRecord): Extra;
  /**
   * Runs a handler call, inside a database transaction for example: calls `run` once, with what the handler's context gains, and awaits it. Rejects as
   * `run` does. `progress` gives what there would be to commit of the records' partitions if these records were finished.
   */
  around?(
    records: readonly KafkaRecord[],
    run: (gained?: Extra) => Promise<void>,
    progress: () => Progress,
  ): Promise<void>;
  /**
   * Whether what `around` has rejected with says that the call was undone for a reason of the store's own, which passes: then it is called again after a
   * wait, as the same attempt, and no policy is asked, for nothing is known to be wrong with its records.
   */
  isUndone?(error: unknown): boolean;
  /**
   * Where it is given, what handlers send (and dead letters) is not produced at once: it is kept with its record, and comes to `commit` with the
   * progress that covers the record. Called for each message when it is sent.
   * @throws InvalidOptionError for a message that can never be written
   */
  check?(message: OutgoingRecord): void;
  /**
   * Makes progress durable; resolves when it is. One that names `unwritable` messages is repeated when the failure policy has decided about their records.
   * @throws CommitError
   */
  commit(progress: Progress): Promise<void>;
  /** Awaited after the last commit of partitions that are being revoked, before they are released. */
  revoking?(partitions: readonly TopicPartition[]): Promise<void>;
  /** The partitions are somebody else's already. */
  lost?(partitions: readonly TopicPartition[]): void;
  close(): Promise<void>;
}
