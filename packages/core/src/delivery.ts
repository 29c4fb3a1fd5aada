import type { Clock } from './clock.ts';
import type { PolicyAction } from './failure.ts';
import type { KafkaCluster, KafkaConsumer, StartOffset } from './kafka-client.ts';
import type { Logger } from './logger.ts';
import type { KafkaRecord, NextOffset, OutgoingRecord, TopicPartition } from './record.ts';

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
  /**
   * Called when a worker is made.
   * @throws InvalidOptionError for a cluster over which it cannot promise what it promises
   */
  checkCluster?(kafka: KafkaCluster): void;
  /** Called once per run of a worker, when its consumer is connected and has not joined yet. */
  open(context: DeliveryContext): Promise<DeliverySession<Extra>>;
}

/** What a delivery has to work with. */
export interface DeliveryContext {
  readonly kafka: KafkaCluster;
  readonly groupId: string;
  readonly consumer: KafkaConsumer;
  /** How long its own clients may take to connect. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
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
}

/** Per partition the next offset: everything before it is finished. */
export interface Progress {
  readonly partitions: readonly PartitionProgress[];
}

/** A delivery at work for one run of a worker. Calls of `commit` never overlap. */
export interface DeliverySession<Extra extends object = object> {
  /** Where newly assigned partitions start, for a delivery with a store of its own; a partition left out starts as Kafka's offsets say. */
  startOffsets?(partitions: readonly TopicPartition[]): Promise<StartOffset[]>;
  /**
   * Awaited before any of a polled chunk is dispatched; `next` is what lies behind the chunk. What a `CommitError` that
   * is retriable (or that a rebalance explains) names is not dispatched, and polled again; any other error ends the worker.
   */
  received?(records: readonly KafkaRecord[], next: readonly NextOffset[]): Promise<void>;
  /** What the context of a record's handler call gains. */
  contextFor?(record: KafkaRecord): Extra;
  /** Runs a handler call, inside a database transaction for example: calls `run` once and awaits it. Rejects as `run` does. */
  around?(records: readonly KafkaRecord[], run: () => Promise<void>): Promise<void>;
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
