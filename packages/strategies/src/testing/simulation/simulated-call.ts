import type { Epoch } from './epoch.ts';
import type { SentRecord } from './sent-records.ts';

/** One call of a handler, from its start to its return. */
export interface SimulatedCall {
  readonly process: string;
  readonly records: readonly SentRecord[];
  /** In milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of each record's partition, at the start; nothing where the process did not own it. */
  readonly epochs: ReadonlyMap<number, Epoch>;
  /** The handler's signal; to be looked at only when it matters, for it is made then. */
  readonly signal: () => AbortSignal;
  /** The worker has given its slot away: what it still does counts for nothing. */
  isAbandoned: boolean;
}

/** Why a handler was asked to return, if it was. */
export function abortOf(call: SimulatedCall): 'timed-out' | 'taken-away' | undefined {
  const signal = call.signal();
  if (!signal.aborted) return undefined;
  return (signal.reason as { code?: unknown }).code === 'HANDLER_TIMEOUT' ? 'timed-out' : 'taken-away';
}
