import { type ConcurrencyStrategy, InvalidOptionError, type KafkaRecord } from '@kafka-worker/core';
import { checkConcurrency, checkOptions } from '../option-checks.ts';
import { strategy } from './strategy.ts';
import { checkStrategyInside } from './strategy-inside.ts';
import { type TurnOptions, turnOf } from './turn.ts';

/** Start without any. */
export interface LaneByOptions {
  /** How many lanes are worked on at once. @defaultValue 100 */
  readonly concurrency?: number | 'unlimited';
  /** Where equal names are one lane: within a partition, within a topic, or everywhere. @defaultValue `'partition'` */
  readonly across?: 'partition' | 'topic' | 'all';
  /** How the records of one lane are handled. @defaultValue one at a time, in order */
  readonly within?: ConcurrencyStrategy;
  /** Where `concurrency` limits and `within` is given: how long a lane keeps its place while others wait. */
  readonly turn?: TurnOptions;
}

/**
 * Lanes by anything that a record says: a header, a field of its decoded value. Records with equal names keep their order, those with different
 * names do not wait for each other. Across partitions the order is the one in which the records were polled.
 *
 * `lane` sees the record as the handler does, and has to be a pure function. `Value` and `Key` must be what the worker's `value` and `key` deserializers
 * give; the compiler does not check that. If it throws, or gives no string, that is the record's failure (a `LaneError`, which is never retried), and
 * nobody else's.
 * @throws InvalidOptionError
 */
export function laneBy<Value = Buffer | null, Key = Buffer | null>(
  lane: (record: KafkaRecord<Value, Key>) => string,
  options: LaneByOptions = {},
): ConcurrencyStrategy {
  if (typeof lane !== 'function') {
    throw new InvalidOptionError('laneBy.lane', 'a function that gives the name of a record’s lane', lane);
  }
  checkOptions('laneBy', options, ['concurrency', 'across', 'within', 'turn']);
  const { concurrency = 100, across = 'partition', within } = options;
  if (!['partition', 'topic', 'all'].includes(across)) {
    throw new InvalidOptionError('laneBy.across', "'partition', 'topic' or 'all'", across);
  }
  const active = checkConcurrency('laneBy.concurrency', concurrency);
  const turn = turnOf('laneBy', { ...options, concurrency });
  if (within !== undefined) checkStrategyInside('laneBy.within', within);
  return strategy(within === undefined ? 'laneBy' : `laneBy(${within.name})`, {
    by: lane,
    across,
    active,
    ...turn,
    inside: within === undefined ? { width: 1 } : within.lanes,
  });
}
