import { type Clock, systemClock } from './clock.ts';
import type { ConcurrencyStrategy } from './concurrency.ts';
import { atLeastOnceDelivery, perPartitionStrategy, retryThenStopPolicy } from './defaults.ts';
import type { Delivery } from './delivery.ts';
import type { Deserializer } from './deserializer.ts';
import { InvalidOptionError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import type { BatchHandler, Handler } from './handler.ts';
import type { KafkaCluster } from './kafka-client.ts';
import { checkLaneRule } from './lane-rule.ts';
import { type Logger, stderrLogger } from './logger.ts';
import {
  atLeastOne,
  check,
  has,
  nonEmptyString,
  nonNegative,
  oneOf,
  optional,
  positiveInteger,
  topicName,
} from './option-checks.ts';
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
  readonly limits?: {
    /** Records polled and not finished. @defaultValue 10_000 */
    readonly inFlightRecords?: number;
    /** What they pin in memory, in bytes; a larger record passes alone. @defaultValue 64 MiB */
    readonly inFlightBytes?: number;
    /** Records of a partition that lie above its first unfinished one, finished or not. @defaultValue 50_000 */
    readonly aheadOfFrontier?: number;
  };
  /** How long a revoked partition waits for its running handlers and last commit, in milliseconds. @defaultValue 25_000 */
  readonly revokeDrainMs?: number;
  /** How long `start` tries to reach a broker, in milliseconds. @defaultValue 30_000 */
  readonly connectTimeoutMs?: number;
  /** @defaultValue warnings and errors, to stderr */
  readonly logger?: Logger;
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
          /** How long a record waits for its batch to fill, in milliseconds. @defaultValue 0 */
          readonly maxWaitMs?: number;
        };
      }
  );

/** Options with every default in place: the only form that the engine sees. */
export interface ResolvedWorkerOptions {
  readonly kafka: KafkaCluster;
  readonly groupId: string;
  readonly topics: readonly (string | RegExp)[];
  readonly concurrency: ConcurrencyStrategy;
  readonly onFailure: FailurePolicy;
  readonly delivery: Delivery;
  readonly plugins: readonly Plugin[];
  readonly value: Deserializer<unknown> | undefined;
  readonly key: Deserializer<unknown> | undefined;
  readonly name: string;
  readonly groupProtocol: 'consumer' | 'classic';
  readonly groupInstanceId: string | undefined;
  readonly startFrom: 'earliest' | 'latest' | Date;
  readonly onOffsetOutOfRange: 'fail' | 'earliest' | 'latest';
  readonly commit: { readonly everyMs: number; readonly everyRecords: number };
  readonly limits: {
    readonly inFlightRecords: number;
    readonly inFlightBytes: number;
    readonly aheadOfFrontier: number;
  };
  readonly revokeDrainMs: number;
  readonly connectTimeoutMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly handler: Handler<unknown, unknown, object> | undefined;
  readonly batchHandler: BatchHandler<unknown, unknown, object> | undefined;
  readonly batch: { readonly maxRecords: number; readonly maxWaitMs: number };
}

const knownOptions = [
  ...[
    'kafka',
    'groupId',
    'topics',
    'concurrency',
    'onFailure',
    'delivery',
    'plugins',
    'value',
    'key',
    'name',
    'groupProtocol',
  ],
  ...[
    'groupInstanceId',
    'startFrom',
    'onOffsetOutOfRange',
    'commit',
    'limits',
    'revokeDrainMs',
    'connectTimeoutMs',
    'logger',
  ],
  ...['clock', 'random', 'handler', 'batchHandler', 'batch'],
];

/** @throws InvalidOptionError naming the option, what was expected and what came */
export function resolveWorkerOptions<V, K, E extends object>(given: WorkerOptions<V, K, E>): ResolvedWorkerOptions {
  check('options', given, 'an object', (v) => typeof v === 'object' && v !== null);
  for (const option of Object.keys(given)) {
    if (!knownOptions.includes(option))
      throw new InvalidOptionError(option, `no such option (there are ${knownOptions.join(', ')})`, 'it');
  }
  const options = given as unknown as WorkerOptions<unknown, unknown>;
  check(
    'kafka',
    options.kafka,
    "a cluster, such as confluentKafka({ brokers: ['localhost:9092'] })",
    has('consumer', 'producer'),
  );
  nonEmptyString('groupId', options.groupId);
  checkHandlers(options);
  checkMenus(options);
  oneOf('groupProtocol', options.groupProtocol, ['consumer', 'classic']);
  optional('groupInstanceId', options.groupInstanceId, nonEmptyString);
  optional('name', options.name, nonEmptyString);
  if (!(options.startFrom instanceof Date && !Number.isNaN(options.startFrom.getTime()))) {
    oneOf('startFrom', options.startFrom, ['earliest', 'latest'], "'earliest', 'latest' or a valid Date");
  }
  oneOf('onOffsetOutOfRange', options.onOffsetOutOfRange, ['fail', 'earliest', 'latest']);
  optional('commit.everyMs', options.commit?.everyMs, atLeastOne);
  optional('commit.everyRecords', options.commit?.everyRecords, positiveInteger);
  optional('limits.inFlightRecords', options.limits?.inFlightRecords, positiveInteger);
  optional('limits.inFlightBytes', options.limits?.inFlightBytes, positiveInteger);
  optional('limits.aheadOfFrontier', options.limits?.aheadOfFrontier, positiveInteger);
  optional('revokeDrainMs', options.revokeDrainMs, nonNegative);
  optional('connectTimeoutMs', options.connectTimeoutMs, atLeastOne);
  optional('batch.maxRecords', options.batch?.maxRecords, positiveInteger);
  optional('batch.maxWaitMs', options.batch?.maxWaitMs, nonNegative);
  return {
    kafka: options.kafka,
    groupId: options.groupId,
    topics: resolveTopics(options.topics),
    concurrency: options.concurrency ?? perPartitionStrategy,
    onFailure: options.onFailure ?? retryThenStopPolicy,
    delivery: options.delivery ?? atLeastOnceDelivery,
    plugins: options.plugins ?? [],
    value: options.value,
    key: options.key,
    name: options.name ?? options.groupId,
    groupProtocol: options.groupProtocol ?? 'classic',
    groupInstanceId: options.groupInstanceId,
    startFrom: options.startFrom ?? 'earliest',
    onOffsetOutOfRange: options.onOffsetOutOfRange ?? 'fail',
    commit: {
      everyMs: options.commit?.everyMs ?? 1_000,
      everyRecords: options.commit?.everyRecords ?? Number.POSITIVE_INFINITY,
    },
    limits: {
      inFlightRecords: options.limits?.inFlightRecords ?? 10_000,
      inFlightBytes: options.limits?.inFlightBytes ?? 64 * 1024 * 1024,
      aheadOfFrontier: options.limits?.aheadOfFrontier ?? 50_000,
    },
    revokeDrainMs: options.revokeDrainMs ?? 25_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 30_000,
    logger: options.logger ?? stderrLogger,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    handler: options.handler,
    batchHandler: options.batchHandler,
    batch: { maxRecords: options.batch?.maxRecords ?? 500, maxWaitMs: options.batch?.maxWaitMs ?? 0 },
  };
}

function checkHandlers(options: WorkerOptions<unknown, unknown>): void {
  const { handler, batchHandler, batch } = options as { handler?: unknown; batchHandler?: unknown; batch?: unknown };
  if (handler !== undefined && batchHandler !== undefined) {
    throw new InvalidOptionError('batchHandler', 'either handler or batchHandler', 'both');
  }
  if (batchHandler === undefined)
    check('handler', handler, 'a function (record, context), or batchHandler', (v) => typeof v === 'function');
  else check('batchHandler', batchHandler, 'a function (records, context)', (v) => typeof v === 'function');
  if (batch !== undefined && batchHandler === undefined) {
    throw new InvalidOptionError('batch', 'nothing, for it goes with batchHandler only', batch);
  }
}

function checkMenus(options: WorkerOptions<unknown, unknown>): void {
  const ofKind = (kind: string) => (value: unknown) => has('kind')(value) && (value as { kind: unknown }).kind === kind;
  const { concurrency, onFailure, delivery, plugins, value, key, logger, clock, random } = options;
  if (concurrency !== undefined) {
    check('concurrency', concurrency, 'a concurrency strategy, such as perPartition()', ofKind('concurrency'));
    checkLaneRule('concurrency', concurrency.lanes);
  }
  if (onFailure !== undefined)
    check('onFailure', onFailure, 'a failure policy, such as retry({ then: stop() })', ofKind('failure'));
  if (delivery !== undefined) check('delivery', delivery, 'a delivery, such as atLeastOnce()', ofKind('delivery'));
  if (plugins !== undefined) {
    check('plugins', plugins, 'an array of plugins', Array.isArray);
    for (const [i, plugin] of plugins.entries())
      check(`plugins[${i}]`, plugin, 'a plugin (an object with a name)', has('name'));
  }
  if (value !== undefined) check('value', value, 'a deserializer, such as json()', has('deserialize'));
  if (key !== undefined) check('key', key, 'a deserializer, such as string()', has('deserialize'));
  if (logger !== undefined)
    check('logger', logger, 'an object with debug, info, warn and error', has('debug', 'info', 'warn', 'error'));
  if (clock !== undefined) check('clock', clock, 'an object with now and setTimeout', has('now', 'setTimeout'));
  if (random !== undefined) check('random', random, 'a function', (v) => typeof v === 'function');
}

function resolveTopics(topics: unknown): readonly (string | RegExp)[] {
  const list: readonly unknown[] = Array.isArray(topics) ? topics : [topics];
  if (list.length === 0)
    throw new InvalidOptionError('topics', 'at least one topic name or regular expression', topics);
  return list.map((topic, i) => {
    if (topic instanceof RegExp) return new RegExp(topic.source, topic.flags.replace(/[gy]/g, ''));
    return topicName(Array.isArray(topics) ? `topics[${i}]` : 'topics', topic);
  });
}
