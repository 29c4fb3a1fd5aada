import type { LaneRule } from './concurrency.ts';
import { InvalidOptionError } from './errors.ts';

/**
 * @param option the strategy that has the rule as its `lanes`
 * @throws InvalidOptionError for a rule that the scheduler cannot execute
 */
export function checkLaneRule(option: string, rule: LaneRule): void {
  checkRule(`${option}.lanes`, rule);
}

function checkRule(path: string, rule: LaneRule): void {
  checkObject(path, 'lane rules', rule);
  if (rule.by !== 'all' && rule.by !== 'partition' && typeof rule.by !== 'function') {
    throw new InvalidOptionError(`${path}.by`, "'all', 'partition' or a function of the record", rule.by);
  }
  checkCount(`${path}.active`, rule.active);
  const { inside } = rule;
  checkObject(`${path}.inside`, 'a width, or lane rules', inside);
  if ('width' in inside) checkCount(`${path}.inside.width`, inside.width);
  else checkRule(`${path}.inside`, inside);
}

function checkObject(path: string, expected: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new InvalidOptionError(path, expected, value);
}

function checkCount(option: string, value: unknown): void {
  const isCount = value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) >= 1);
  if (!isCount) throw new InvalidOptionError(option, 'a whole number, at least 1, or Infinity', value);
}
