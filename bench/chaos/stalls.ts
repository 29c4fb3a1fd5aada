import type { HandledLog } from './handled-log.ts';
import { overlapping } from './repeats.ts';
import type { Fault, TurnRecord } from './turn-record.ts';

/** The longest that a partition was not worked on although records were there, in milliseconds. */
export interface LongestStalls {
  /** While no broker was away: what workers that come, go and die do to those that they leave alone. */
  readonly untouchedMs: number;
  /** While a broker was, and leaders moved. */
  readonly withoutBrokerMs: number;
}

/**
 * Looks at partitions that stayed with their owner: at the time between two things that happen in one assignment, the return of a call and the
 * beginning of the next one, as far as the next record was already acknowledged to its producer then.
 */
export function longestStalls(
  { written, faults }: Pick<TurnRecord, 'written' | 'faults'>,
  log: HandledLog,
): LongestStalls {
  const acknowledgedAt = new Map(written.map(({ partition, offset, at }) => [`${partition}@${offset}`, at]));
  const outages = faults.filter(({ kind }) => kind === 'broker');
  let untouchedMs = 0;
  let withoutBrokerMs = 0;
  for (const { partition, calls } of log.epochs) {
    let lastAt: number | undefined;
    for (const { offset, at, returnedAt } of calls) {
      const readyAt = acknowledgedAt.get(`${partition}@${offset}`);
      if (lastAt !== undefined && readyAt !== undefined) {
        const span: Pick<Fault, 'from' | 'until'> = { from: Math.max(lastAt, readyAt), until: at };
        const ms = span.until - span.from;
        if (overlapping(outages, span).length > 0) withoutBrokerMs = Math.max(withoutBrokerMs, ms);
        else untouchedMs = Math.max(untouchedMs, ms);
      }
      lastAt = Math.max(lastAt ?? 0, returnedAt ?? at);
    }
  }
  return { untouchedMs: Math.round(untouchedMs), withoutBrokerMs: Math.round(withoutBrokerMs) };
}
