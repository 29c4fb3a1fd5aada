import { type ConcurrencyStrategy, InvalidOptionError, type LaneRule } from '@kafka-worker/core';
import { checkConcurrency, checkOptions, checkStrategy } from '../option-checks.ts';
import { strategy } from './strategy.ts';
import { checkStrategyInside } from './strategy-inside.ts';

/** Start without any. */
export interface LimitedOptions {
  /** How many handler calls may start in a second, evenly spread; retries are among them. For the whole worker. @defaultValue no limit */
  readonly perSecond?: number;
}

/**
 * At most `concurrency` handler calls at once, of whatever `of` would run at the same time: for a database with so many connections, say. `of` keeps its order.
 * @throws InvalidOptionError
 */
export function limited(
  concurrency: number | 'unlimited',
  of: ConcurrencyStrategy,
  options: LimitedOptions = {},
): ConcurrencyStrategy {
  const calls = checkConcurrency('limited.concurrency', concurrency);
  checkStrategy('limited.strategy', of);
  checkStrategyInside('limited.strategy', of);
  checkOptions('limited', options, ['perSecond']);
  const { perSecond } = options;
  if (perSecond !== undefined && !(typeof perSecond === 'number' && Number.isFinite(perSecond) && perSecond > 0)) {
    throw new InvalidOptionError('limited.perSecond', 'a number above 0', perSecond);
  }
  if (perSecond === undefined && concurrency === 'unlimited') {
    throw new InvalidOptionError(
      'limited.concurrency',
      "a number: 'unlimited' limits nothing without perSecond",
      concurrency,
    );
  }
  if (perSecond === undefined && mostCalls(of.lanes) === 1) {
    throw new InvalidOptionError(
      'limited.strategy',
      `a strategy that runs more than one call at once, which ${of.name} does not: leave limited() out, or give perSecond`,
      of.name,
    );
  }
  const name = `limited(${concurrency}, ${of.name})`;
  return strategy(name, {
    by: 'all',
    active: Number.POSITIVE_INFINITY,
    calls,
    ...(perSecond === undefined ? {} : { startsPerSecond: perSecond }),
    inside: of.lanes,
  });
}

/** How many calls a rule allows at once. */
function mostCalls({ by, active, calls = Number.POSITIVE_INFINITY, inside }: LaneRule): number {
  const perLane = 'width' in inside ? inside.width : mostCalls(inside);
  return Math.min(calls, by === 'all' ? perLane : active * perLane);
}
