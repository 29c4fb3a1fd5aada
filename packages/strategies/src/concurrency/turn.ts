import { InvalidOptionError, type LaneRule } from '@kafka-worker/core';
import { checkOptions, checkRange, checkWhole } from '../option-checks.ts';

/** A turn ends with the first of both: then what runs is finished, and the place goes to the one that has waited longest. */
export interface TurnOptions {
  /** @defaultValue 1_000 */
  readonly maxRecords?: number;
  /** In milliseconds. @defaultValue 1_000 */
  readonly maxMs?: number;
}

/** The part of a rule that says how long a place is kept. */
export function turnOf(
  name: string,
  options: { readonly concurrency?: unknown; readonly within?: unknown; readonly turn?: TurnOptions },
): Pick<LaneRule, 'turn'> {
  const { turn } = options;
  if (turn === undefined) return {};
  const option = `${name}.turn`;
  if (options.within === undefined || options.concurrency === undefined || options.concurrency === 'unlimited') {
    throw new InvalidOptionError(
      option,
      'no turn without both a concurrency that limits and a strategy within: places are kept only there',
      turn,
    );
  }
  checkOptions(option, turn, ['maxRecords', 'maxMs']);
  checkWhole(`${option}.maxRecords`, turn.maxRecords, 1);
  checkRange(`${option}.maxMs`, turn.maxMs, 1);
  return { turn: { maxRecords: turn.maxRecords ?? 1_000, maxMs: turn.maxMs ?? 1_000 } };
}
