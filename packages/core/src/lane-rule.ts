import type { LaneRule } from './concurrency.ts';
import { InvalidOptionError } from './errors.ts';

/**
 * @param option the strategy that has the rule as its `lanes`
 * @throws InvalidOptionError for a rule that the scheduler cannot execute, or that means nothing where it stands
 */
export function checkLaneRule(option: string, rule: LaneRule): void {
  checkRule(`${option}.lanes`, rule, { isOutermost: true, scope: 'all' });
}

/** Whether a function of the user's says which lane a record belongs to. */
export function usesLaneFunction({ by, inside }: LaneRule): boolean {
  return typeof by === 'function' || (!('width' in inside) && usesLaneFunction(inside));
}

/** Whether each lane stands for one key, or one name, so that it can be frozen alone. */
export function hasKeyLanes({ by, inside }: LaneRule): boolean {
  if (!('width' in inside)) return hasKeyLanes(inside);
  return (by === 'key' || typeof by === 'function') && inside.width === 1 && inside.unordered !== true;
}

/**
 * The rule with turns wherever they are needed: a lane that runs several calls at once need never run dry by itself, so where places are limited it
 * becomes a group, which keeps its place for a turn.
 */
export function withTurns(rule: LaneRule): LaneRule {
  const { by, active, inside } = rule;
  if (!('width' in inside)) return { ...rule, inside: withTurns(inside) };
  if (by === 'all' || active === Number.POSITIVE_INFINITY || inside.width === 1) return rule;
  return { ...rule, inside: { by: 'all', active: 1, inside } };
}

interface Place {
  readonly isOutermost: boolean;
  /** What the levels above have parted the records by: here are those of one partition, of one topic, or any. */
  readonly scope: 'partition' | 'topic' | 'all';
}

function checkRule(path: string, rule: LaneRule, place: Place): void {
  checkObject(path, 'lane rules', rule);
  const { by, across, nullKeys, active, calls, startsPerSecond, turn, inside } = rule;
  if (by !== 'all' && by !== 'partition' && by !== 'key' && typeof by !== 'function') {
    throw new InvalidOptionError(`${path}.by`, "'all', 'partition', 'key' or a function of the record", by);
  }
  checkOneOf(`${path}.across`, across, ['partition', 'topic', 'all']);
  checkOneOf(`${path}.nullKeys`, nullKeys, ['parallel', 'per-partition', 'one-lane']);
  checkCount(`${path}.active`, active);
  if (calls !== undefined) checkCount(`${path}.calls`, calls);
  if (turn !== undefined) checkTurn(`${path}.turn`, turn);
  if (startsPerSecond !== undefined) checkRate(`${path}.startsPerSecond`, startsPerSecond, place);
  checkMeaning(path, rule, place);
  checkObject(`${path}.inside`, 'a width, or lane rules', inside);
  if ('width' in inside) checkCount(`${path}.inside.width`, inside.width);
  else checkRule(`${path}.inside`, inside, { isOutermost: false, scope: scopeInside(rule, place) });
}

function scopeInside({ by, across = 'partition' }: LaneRule, { scope }: Place): Place['scope'] {
  if (by === 'partition') return 'partition';
  // What reaches further than where it stands is refused, so this is never wider.
  return by === 'all' || across === 'all' ? scope : across;
}

function checkMeaning(path: string, { by, across, nullKeys }: LaneRule, { scope }: Place): void {
  if (scope === 'topic' && across === 'all') {
    throw new InvalidOptionError(
      `${path}.across`,
      "'topic' or 'partition' inside a topic: lanes across topics have to stand outside of a laneBy() across: 'topic'",
      across,
    );
  }
  if (scope !== 'partition') return;
  if (by === 'partition') {
    throw new InvalidOptionError(
      `${path}.by`,
      "something else than partitions inside a partition, which has only itself: leave the inner perPartition() out, or give a laneBy() around it across: 'topic' or 'all'",
      by,
    );
  }
  if (across === 'topic' || across === 'all') {
    throw new InvalidOptionError(
      `${path}.across`,
      "'partition' inside a partition: lanes across partitions have to stand outside of perPartition(), and of a laneBy() without across",
      across,
    );
  }
  if (nullKeys === 'one-lane') {
    throw new InvalidOptionError(
      `${path}.nullKeys`,
      "'per-partition' or 'parallel' inside a partition: one lane for all partitions has to stand outside of perPartition(), and of a laneBy() without across",
      nullKeys,
    );
  }
}

function checkRate(option: string, value: unknown, { isOutermost }: Place): void {
  if (!isOutermost) {
    throw new InvalidOptionError(
      option,
      'no rate on an inner level, for it holds for the whole worker: give perSecond to a limited() around everything',
      value,
    );
  }
  if (typeof value !== 'number' || !(value > 0)) {
    throw new InvalidOptionError(option, 'a number above 0', value);
  }
}

function checkTurn(option: string, turn: unknown): void {
  checkObject(option, 'an object with maxRecords and maxMs', turn);
  const { maxRecords, maxMs } = turn as { readonly maxRecords?: unknown; readonly maxMs?: unknown };
  checkCount(`${option}.maxRecords`, maxRecords);
  if (typeof maxMs !== 'number' || !(maxMs > 0)) {
    throw new InvalidOptionError(`${option}.maxMs`, 'a number of milliseconds above 0', maxMs);
  }
}

function checkObject(path: string, expected: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new InvalidOptionError(path, expected, value);
}

function checkOneOf(option: string, value: unknown, allowed: readonly string[]): void {
  if (value === undefined || (typeof value === 'string' && allowed.includes(value))) return;
  throw new InvalidOptionError(option, allowed.map((one) => `'${one}'`).join(', '), value);
}

function checkCount(option: string, value: unknown): void {
  const isCount = value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) >= 1);
  if (!isCount) throw new InvalidOptionError(option, 'a whole number, at least 1, or Infinity', value);
}
