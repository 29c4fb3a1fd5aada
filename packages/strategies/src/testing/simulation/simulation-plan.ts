import type { CommonWorkerOptions, ConcurrencyStrategy, FailurePolicy } from '@kafka-worker/core';
import {
  deadLetter,
  exactlyOnce,
  freezeKey,
  freezePartition,
  laneBy,
  limited,
  parallel,
  perKey,
  perPartition,
  retry,
  serial,
  skip,
  stop,
} from '../../index.ts';
import { DEAD_LETTERS } from './outputs.ts';
import { SeededRandom } from './seeded-random.ts';
import type { SentRecord } from './sent-records.ts';
import { type WeatherMix, weatherMixes } from './weather-mix.ts';

/** A strategy, and what it promises. */
interface StrategyChoice {
  readonly of: ConcurrencyStrategy;
  readonly lane: 'partition' | 'key' | 'none';
  readonly maxCalls: number;
}

/** Everything about a run that is decided before it begins. */
export interface SimulationPlan {
  readonly seed: number;
  readonly mix: WeatherMix;
  readonly partitions: number;
  readonly records: number;
  readonly processes: number;
  readonly strategy: StrategyChoice;
  readonly isBatch: boolean;
  readonly hasHooks: boolean;
  /** Handlers send, and what they send is written with the offsets. */
  readonly isExactlyOnce: boolean;
  /** What every worker of the run is made with. */
  readonly options: Pick<
    CommonWorkerOptions<Buffer | null, Buffer | null, object>,
    | 'concurrency'
    | 'onFailure'
    | 'delivery'
    | 'commit'
    | 'limits'
    | 'handlerTimeoutMs'
    | 'stuckAfterMs'
    | 'revokeDrainMs'
  > & { readonly onStuckHandler: 'fail' | 'release' };
}

const unlimited = Number.POSITIVE_INFINITY;
const strategies: readonly StrategyChoice[] = [
  { of: serial(), lane: 'partition', maxCalls: 1 },
  { of: perPartition(), lane: 'partition', maxCalls: unlimited },
  { of: perPartition({ concurrency: 1 }), lane: 'partition', maxCalls: 1 },
  { of: perKey({ concurrency: 2 }), lane: 'key', maxCalls: 2 },
  { of: perKey(), lane: 'key', maxCalls: 100 },
  { of: parallel({ concurrency: 3 }), lane: 'none', maxCalls: 3 },
  { of: limited(2, perKey()), lane: 'key', maxCalls: 2 },
  { of: limited('unlimited', perPartition(), { perSecond: 50 }), lane: 'partition', maxCalls: unlimited },
  { of: laneBy(({ key }) => String(key)), lane: 'key', maxCalls: 100 },
  { of: perPartition({ within: parallel({ concurrency: 2 }) }), lane: 'none', maxCalls: unlimited },
  {
    of: perPartition({ concurrency: 1, within: perKey({ concurrency: 2 }), turn: { maxRecords: 3, maxMs: 50 } }),
    lane: 'key',
    maxCalls: 2,
  },
];

const backoff = { initialMs: 30, maxMs: 500, jitter: 0.5 };
const policies: readonly FailurePolicy[] = [
  skip({ log: false }),
  retry({ maxAttempts: 2, backoff, then: skip({ log: false }) }),
  retry({ maxAttempts: 3, backoff, then: stop() }),
  stop(),
  freezePartition(),
];

/** So many of the runs. */
const EXACTLY_ONCE_SHARE = 0.35;
/** Those that are of use where a dead letter is written with the offset, and no key can be left behind. */
const policiesWithDeadLetters: readonly FailurePolicy[] = [
  ...policies,
  deadLetter({ topic: DEAD_LETTERS, brake: false }),
  retry({ maxAttempts: 2, backoff, then: deadLetter({ topic: DEAD_LETTERS, brake: false }) }),
];

/** What a seed stands for. */
export function planOf(seed: number): SimulationPlan {
  const random = new SeededRandom(seed, 0);
  const strategy = random.pick(strategies);
  const policy = strategy.lane === 'key' && random.chance(0.15) ? freezeKey() : random.pick(policies);
  const mix = random.pick(weatherMixes);
  // Of its own sequence: the others stay what they are.
  const transactions = new SeededRandom(seed, 4);
  const isExactlyOnce = transactions.chance(EXACTLY_ONCE_SHARE);
  return {
    seed,
    mix,
    partitions: 1 + random.below(4),
    records: 5 + random.below(30),
    processes: 1 + random.below(3),
    strategy,
    isBatch: random.chance(0.2),
    hasHooks: random.chance(0.25),
    isExactlyOnce,
    options: {
      concurrency: strategy.of,
      onFailure: isExactlyOnce ? transactions.pick(policiesWithDeadLetters) : policy,
      commit: { everyMs: random.pick([20, 200, 1_000]), ...(random.chance(0.2) ? { everyRecords: 2 } : {}) },
      limits: { inFlightRecords: random.pick([1, 5, 10_000]), aheadOfFrontier: random.pick([3, 50_000]) },
      ...(random.chance(0.3) ? { handlerTimeoutMs: random.pick([300, 1_500]) } : {}),
      stuckAfterMs: random.pick([100, 1_000]),
      revokeDrainMs: random.pick([100, 1_000, 5_000]),
      onStuckHandler: random.pick(['fail', 'release']),
      ...(isExactlyOnce
        ? {
            delivery: exactlyOnce({
              transactionalIdPrefix: 'x',
              transactionTimeoutMs: transactions.pick([1_000, 2_500, 10_000]),
            }),
          }
        : {}),
    },
  };
}

/** The lane that a record is handled in, under a plan's strategy; undefined where nothing orders it. */
export function laneOf({ strategy: { of, lane } }: SimulationPlan, { partition, key }: SentRecord): string | undefined {
  if (lane === 'none') return undefined;
  if (lane === 'partition') return `${partition}`;
  // laneBy gives every record a name.
  return key === null && of.name !== 'laneBy' ? undefined : `${partition} ${key}`;
}
