import type { LaneRule } from './concurrency.ts';
import { InvalidOptionError } from './errors.ts';

/** @throws InvalidOptionError for a rule that the scheduler cannot execute */
export function checkLaneRule(option: string, rule: LaneRule): void {
  if (typeof rule !== 'object' || rule === null) throw new InvalidOptionError(`${option}.lanes`, 'lane rules', rule);
  if (rule.by !== 'all' && rule.by !== 'partition' && typeof rule.by !== 'function') {
    throw new InvalidOptionError(`${option}.lanes.by`, "'all', 'partition' or a function of the record", rule.by);
  }
  checkCount(`${option}.lanes.active`, rule.active);
  if ('width' in rule.inside) checkCount(`${option}.lanes.inside.width`, rule.inside.width);
  else checkLaneRule(`${option}.inside`, rule.inside);
}

function checkCount(option: string, value: unknown): void {
  const isCount = value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) >= 1);
  if (!isCount) throw new InvalidOptionError(option, 'a whole number, at least 1, or Infinity', value);
}
