import type { OnAssigned, OnRevoked } from './assignment-hooks.ts';
import type { Batching } from './batch-filling.ts';
import { type Clock, systemClock } from './clock.ts';
import type { ConcurrencyStrategy } from './concurrency.ts';
import { atLeastOnceDelivery, perPartitionStrategy, retryThenStopPolicy } from './defaults.ts';
import type { Delivery } from './delivery.ts';
import type { Deserializer } from './deserializer.ts';
import { InvalidOptionError } from './errors.ts';
import type { FailurePolicy, PolicyAction } from './failure.ts';
import { type BatchHandler, type Handler, handlerPlugin } from './handler.ts';
import type { KafkaCluster } from './kafka-client.ts';
import { checkLaneRule, hasKeyLanes } from './lane-rule.ts';
import { type Logger, stderrLogger } from './logger.ts';
import { loggerThatMayFail } from './logger-that-may-fail.ts';
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
import type { WorkerOptions } from './worker-options.ts';

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
  readonly handlerTimeoutMs: number | undefined;
  readonly stuckAfterMs: number;
  readonly onStuckHandler: 'fail' | 'release';
  readonly revokeDrainMs: number;
  readonly onAssigned: OnAssigned | undefined;
  readonly onRevoked: OnRevoked | undefined;
  readonly stallMs: number;
  readonly connectTimeoutMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly handler: Handler<unknown, unknown, object> | undefined;
  readonly batchHandler: BatchHandler<unknown, unknown, object> | undefined;
  readonly batch: Batching;
}

/** Every option, and what there is inside of those that hold more. */
const knownOptions: Readonly<Record<string, readonly string[] | undefined>> = {
  ...{ kafka: undefined, groupId: undefined, topics: undefined, handler: undefined, batchHandler: undefined },
  ...{ concurrency: undefined, onFailure: undefined, delivery: undefined, plugins: undefined },
  ...{ value: undefined, key: undefined, name: undefined, logger: undefined, clock: undefined, random: undefined },
  ...{ groupProtocol: undefined, groupInstanceId: undefined, startFrom: undefined, onOffsetOutOfRange: undefined },
  ...{ revokeDrainMs: undefined, onAssigned: undefined, onRevoked: undefined },
  ...{ connectTimeoutMs: undefined, stallMs: undefined },
  ...{ handlerTimeoutMs: undefined, stuckAfterMs: undefined, onStuckHandler: undefined },
  batch: ['maxRecords', 'maxBytes', 'maxWaitMs'],
  commit: ['everyMs', 'everyRecords'],
  limits: ['inFlightRecords', 'inFlightBytes', 'aheadOfFrontier'],
};

/** @throws InvalidOptionError naming the option, what was expected and what came */
export function resolveWorkerOptions<V, K, E extends object>(given: WorkerOptions<V, K, E>): ResolvedWorkerOptions {
  check('options', given, 'an object', (v) => typeof v === 'object' && v !== null);
  checkKnown(given);
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
  optional('handlerTimeoutMs', options.handlerTimeoutMs, atLeastOne);
  optional('stuckAfterMs', options.stuckAfterMs, nonNegative);
  oneOf('onStuckHandler', options.onStuckHandler, ['fail', 'release']);
  optional('revokeDrainMs', options.revokeDrainMs, nonNegative);
  optional('onAssigned', options.onAssigned, hook);
  optional('onRevoked', options.onRevoked, hook);
  optional('connectTimeoutMs', options.connectTimeoutMs, atLeastOne);
  optional('stallMs', options.stallMs, atLeastOne);
  optional('batch.maxRecords', options.batch?.maxRecords, positiveInteger);
  optional('batch.maxBytes', options.batch?.maxBytes, positiveInteger);
  optional('batch.maxWaitMs', options.batch?.maxWaitMs, nonNegative);
  options.delivery?.check?.({
    kafka: options.kafka,
    concurrency: options.concurrency ?? perPartitionStrategy,
    isThreaded: pluginOf(options.handler).length > 0,
    ...(options.handlerTimeoutMs !== undefined && { handlerTimeoutMs: options.handlerTimeoutMs }),
  });
  return {
    kafka: options.kafka,
    groupId: options.groupId,
    topics: resolveTopics(options.topics),
    concurrency: options.concurrency ?? perPartitionStrategy,
    onFailure: options.onFailure ?? retryThenStopPolicy,
    delivery: options.delivery ?? atLeastOnceDelivery,
    plugins: [...(options.plugins ?? []), ...pluginOf(options.handler)],
    value: options.value,
    key: options.key,
    name: options.name ?? options.groupId,
    groupProtocol: options.groupProtocol ?? 'classic',
    groupInstanceId: options.groupInstanceId,
    startFrom: options.startFrom ?? 'earliest',
    onOffsetOutOfRange: options.onOffsetOutOfRange ?? 'fail',
    commit: {
      everyMs: options.commit?.everyMs ?? options.delivery?.commitEveryMs ?? 1_000,
      everyRecords: options.commit?.everyRecords ?? Number.POSITIVE_INFINITY,
    },
    limits: {
      inFlightRecords: options.limits?.inFlightRecords ?? 10_000,
      inFlightBytes: options.limits?.inFlightBytes ?? 64 * 1024 * 1024,
      aheadOfFrontier: options.limits?.aheadOfFrontier ?? 50_000,
    },
    handlerTimeoutMs: options.handlerTimeoutMs,
    stuckAfterMs: options.stuckAfterMs ?? 10_000,
    onStuckHandler: options.onStuckHandler ?? 'fail',
    revokeDrainMs: options.revokeDrainMs ?? 25_000,
    onAssigned: options.onAssigned,
    onRevoked: options.onRevoked,
    stallMs: options.stallMs ?? 60_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 30_000,
    logger: options.logger === undefined ? stderrLogger : loggerThatMayFail(options.logger),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    handler: options.handler,
    batchHandler: options.batchHandler,
    batch: {
      maxRecords: options.batch?.maxRecords ?? 500,
      maxBytes: options.batch?.maxBytes ?? Number.POSITIVE_INFINITY,
      maxWaitMs: options.batch?.maxWaitMs ?? 0,
    },
  };
}

function pluginOf(handler: Handler<unknown, unknown, object> | undefined): Plugin[] {
  if (handler === undefined || !(handlerPlugin in handler)) return [];
  return [handler[handlerPlugin] as Plugin];
}

/** A misspelt option is silently no option, so it is refused. */
function checkKnown(given: object): void {
  for (const [option, value] of Object.entries(given)) {
    if (!Object.hasOwn(knownOptions, option)) throw noSuchOption(option, Object.keys(knownOptions), value);
    const inside = knownOptions[option];
    if (inside === undefined || value === undefined) continue;
    check(option, value, `an object with ${inside.join(', ')}`, (v) => typeof v === 'object' && v !== null);
    for (const [name, inner] of Object.entries(value as object)) {
      if (!inside.includes(name)) throw noSuchOption(`${option}.${name}`, inside, inner);
    }
  }
}

function noSuchOption(option: string, known: readonly string[], value: unknown): InvalidOptionError {
  return new InvalidOptionError(option, `no option of that name (there are ${known.join(', ')})`, value);
}

function checkHandlers(options: WorkerOptions<unknown, unknown>): void {
  const { handler, batchHandler, batch } = options as { handler?: unknown; batchHandler?: unknown; batch?: unknown };
  if (handler !== undefined && batchHandler !== undefined) {
    throw new InvalidOptionError('batchHandler', 'nothing beside handler: give one of the two', batchHandler);
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
  if (onFailure !== undefined) {
    check('onFailure', onFailure, 'a failure policy, such as retry({ then: stop() })', ofKind('failure'));
    nonEmptyString('onFailure.name', onFailure.name);
    checkFunction('onFailure', onFailure, 'decide', 'a function (failure, now)');
  }
  if (delivery !== undefined) {
    check('delivery', delivery, 'a delivery, such as atLeastOnce()', ofKind('delivery'));
    nonEmptyString('delivery.name', delivery.name);
    checkFunction('delivery', delivery, 'open', 'a function (context)');
  }
  checkTogether(onFailure?.may, concurrency ?? perPartitionStrategy, delivery ?? atLeastOnceDelivery);
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

function checkFunction<Member extends string>(
  option: string,
  given: { readonly [M in Member]: unknown },
  member: Member,
  expected: string,
): void {
  check(`${option}.${member}`, given[member], expected, (value) => typeof value === 'function');
}

/** What the policy may decide has to be possible under the other two answers. */
function checkTogether(
  actions: readonly PolicyAction[] | undefined,
  concurrency: ConcurrencyStrategy,
  { name, refuses }: Delivery,
): void {
  if (actions?.includes('freeze-key') === true && !hasKeyLanes(concurrency.lanes)) {
    const expected = `a policy without freezeKey(), for ${concurrency.name} has no lanes of keys: freezePartition(), or perKey() or laneBy() as concurrency`;
    throw new InvalidOptionError('onFailure', expected, 'freezeKey()');
  }
  const refused = actions?.find((action) => refuses?.actions.includes(action));
  if (refused === undefined || refuses === undefined) return;
  throw new InvalidOptionError(
    'onFailure',
    `a policy that never decides ${refused} under ${name}: ${refuses.why}`,
    refused,
  );
}

function hook(option: string, value: unknown): void {
  check(option, value, 'a function (partitions, context)', (v) => typeof v === 'function');
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
