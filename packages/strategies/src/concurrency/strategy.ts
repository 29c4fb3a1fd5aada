import { type ConcurrencyStrategy, checkLaneRule, type LaneRule } from '@kafka-worker/core';

/** @throws InvalidOptionError for lanes that mean nothing together */
export function strategy(name: string, lanes: LaneRule): ConcurrencyStrategy {
  checkLaneRule(name, lanes);
  return { kind: 'concurrency', name, lanes };
}
