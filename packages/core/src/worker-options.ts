import type { OnAssigned, OnRevoked } from './assignment-hooks.ts';
import type { Clock } from './clock.ts';
import type { ConcurrencyStrategy } from './concurrency.ts';
import type { Delivery } from './delivery.ts';
import type { Deserializer } from './deserializer.ts';
import type { FailurePolicy } from './failure.ts';
import type { BatchHandler, Handler } from './handler.ts';
import type { KafkaCluster } from './kafka-client.ts';
import type { Logger } from './logger.ts';
import type { Plugin } from './plugin.ts';

/** What every worker has; start with `kafka`, `groupId`, `topics`, the handler, and the three questions `concurrency`, `onFailure`, `delivery`. */
export interface CommonWorkerOptions<Value, Key, Extra extends object> {
  readonly kafka: KafkaCluster;
  readonly groupId: string;
  /** Names, or regular expressions that are matched against all topics (internal ones left out) every 30 s. */
  readonly topics: string | RegExp | readonly (string | RegExp)[];
  /** In what order, and how many at once? @defaultValue `perPartition()` */
  readonly concurrency?: ConcurrencyStrategy;
  /** What happens when the handler fails? @defaultValue 5 attempts with exponential backoff, then stop */
  readonly onFailure?: FailurePolicy;
  /** What is promised? @defaultValue `atLeastOnce()` */
  readonly delivery?: Delivery<Extra>;
  /** What wraps handler calls, listens to events, and starts and stops with the worker. @defaultValue none */
  readonly plugins?: readonly Plugin[];
  /** @defaultValue bytes as they are */
  readonly value?: Deserializer<Value>;
  /** @defaultValue bytes as they are */
  readonly key?: Deserializer<Key>;
  /** For logs and metrics. @defaultValue the group's id */
  readonly name?: string;
  /** `'consumer'` is KIP-848 and needs Kafka 4.0; `'classic'` rebalances cooperatively. @defaultValue `'classic'` */
  readonly groupProtocol?: 'consumer' | 'classic';
  /** Makes this a static member (KIP-345): a restart within the session timeout causes no rebalance. */
  readonly groupInstanceId?: string;
  /**
   * Where a group without committed offsets starts. Partitions and topics that appear later start at their beginning whatever stands here.
   * @defaultValue `'earliest'`
   */
  readonly startFrom?: 'earliest' | 'latest' | Date;
  /** What to do when the committed offset is no longer in the log. @defaultValue `'fail'` with `OffsetOutOfRangeError` */
  readonly onOffsetOutOfRange?: 'fail' | 'earliest' | 'latest';
  /** When progress is committed, beside when a partition is released and at the end. */
  readonly commit?: {
    /** @defaultValue 1_000 */
    readonly everyMs?: number;
    /** Commits also whenever that many records were finished since the last commit. @defaultValue never */
    readonly everyRecords?: number;
  };
  /** How much is polled ahead. */
  readonly limits?: {
    /** Records polled and not finished. @defaultValue 10_000 */
    readonly inFlightRecords?: number;
    /** What they pin in memory, in bytes; a larger record passes alone. @defaultValue 64 MiB */
    readonly inFlightBytes?: number;
    /** Records of a partition that lie above its first unfinished one, finished or not. @defaultValue 50_000 */
    readonly aheadOfFrontier?: number;
  };
  /**
   * How long a handler may run, in milliseconds. Then its signal is aborted and the attempt has failed with a `HandlerTimeoutError`, also if it
   * succeeds late; what the policy says is done when it has returned. @defaultValue as long as it likes
   */
  readonly handlerTimeoutMs?: number;
  /** A handler that has not returned so long after its signal was aborted is stuck, in milliseconds. @defaultValue 10_000 */
  readonly stuckAfterMs?: number;
  /**
   * What a stuck handler means: the end of the worker (`'fail'`), so that nobody handles the same records beside it; or only of its slot
   * (`'release'`): it counts as failed, its late result is dropped, and what it still writes is written beside its successor. @defaultValue `'fail'`
   */
  readonly onStuckHandler?: 'fail' | 'release';
  /**
   * How long a revoked partition waits for its running handlers, its last commit and `onRevoked`, in milliseconds; stay well below
   * `max.poll.interval.ms`, which is what the group gives. @defaultValue 25_000
   */
  readonly revokeDrainMs?: number;
  /**
   * Awaited before the first record of newly assigned partitions is handled, for state that is kept per partition. It has `revokeDrainMs`; one that
   * throws or takes longer ends the worker with an `AssignmentHookError`. @defaultValue nothing
   */
  readonly onAssigned?: OnAssigned;
  /**
   * Awaited once for every partition that `onAssigned` was told of, when it goes: revoked, lost (`lost`), or at the end of the worker. Before it the
   * partition's last handler has returned and its last commit is acknowledged; it has what is left of `revokeDrainMs`, 2 s at least. One that throws
   * or takes longer ends the worker with an `AssignmentHookError`. @defaultValue nothing
   */
  readonly onRevoked?: OnRevoked;
  /**
   * A partition of which nothing was started for so long, although something could have been, or of which nothing was read although there is more to
   * read and room for it, makes the worker not live, in milliseconds. @defaultValue 60_000
   */
  readonly stallMs?: number;
  /** How long `start` tries to reach a broker, in milliseconds. @defaultValue 30_000 */
  readonly connectTimeoutMs?: number;
  /** @defaultValue warnings and errors, to stderr */
  readonly logger?: Logger;
  /** Where the time comes from, and timers: a test's own, for example. @defaultValue the system's */
  readonly clock?: Clock;
  /** Numbers in [0, 1). @defaultValue `Math.random` */
  readonly random?: () => number;
}

/** Options of a `Worker`: one of `handler` and `batchHandler`. */
export type WorkerOptions<
  Value = Buffer | null,
  Key = Buffer | null,
  Extra extends object = object,
> = CommonWorkerOptions<Value, Key, Extra> &
  (
    | { readonly handler: Handler<Value, Key, Extra>; readonly batchHandler?: never; readonly batch?: never }
    | {
        readonly batchHandler: BatchHandler<Value, Key, Extra>;
        readonly handler?: never;
        readonly batch?: {
          /** @defaultValue 500 */
          readonly maxRecords?: number;
          /** Keys, values and headers of a batch, in bytes; a larger record passes alone. @defaultValue no limit */
          readonly maxBytes?: number;
          /** How long a record waits for its batch to fill, in milliseconds. @defaultValue 0 */
          readonly maxWaitMs?: number;
        };
      }
  );
