import { type ConcurrencyStrategy, checkLaneRule, InvalidOptionError } from '@kafka-worker/core';
import { checkStrategy } from '../option-checks.ts';

/** @throws InvalidOptionError for what is no strategy, or cannot stand inside another one */
export function checkStrategyInside(option: string, value: ConcurrencyStrategy): void {
  checkStrategy(option, value);
  checkLaneRule(option, value.lanes);
  if (value.lanes.startsPerSecond !== undefined) {
    throw new InvalidOptionError(
      option,
      'a strategy without perSecond, which holds for the whole worker: put a limited() with perSecond around everything',
      value.name,
    );
  }
}
