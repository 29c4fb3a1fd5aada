import type { KafkaRecord } from './record.ts';

/** A handler call that failed. */
export interface Failure {
  /** The record, or the first one of a batch. */
  readonly record: KafkaRecord<unknown, unknown>;
  /** What was thrown, as it was thrown. */
  readonly error: unknown;
  /** 1 for the first call. */
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly firstFailedAt: number;
  /** A random number in [0, 1), so that a policy with jitter stays a pure function. */
  readonly random: number;
}

/** What is done about a failure. */
export type Decision =
  /** The same call again, not before `afterMs`. Its lane waits, and nothing else does. */
  | { readonly do: 'retry'; readonly afterMs: number }
  /** The record counts as done. `log` writes an error line. */
  | { readonly do: 'skip'; readonly log?: boolean }
  /** The record is written to `topic`, and counts as done when the broker has acknowledged that. Its lane waits for it. */
  | { readonly do: 'dead-letter'; readonly topic: string; readonly brake?: Brake | false }
  /** Its partition, or only its key, stops there until `Worker.unfreeze`; everything else goes on. */
  | { readonly do: 'freeze'; readonly scope: 'partition' | 'key' }
  /** The worker ends, with the record not done: it comes first after a restart. */
  | { readonly do: 'stop' };

/** When dead letters are too many to be right: the worker stops instead. Counted for each partition and for the worker. */
export interface Brake {
  /** So many records in a row. @defaultValue 100 */
  readonly maxConsecutive?: number;
  /** Such a part of the records within `windowMs`, from 0 to 1. @defaultValue 0.5 */
  readonly maxRatio?: number;
  /** The ratio counts from so many records within `windowMs` on. @defaultValue 100 */
  readonly minRecords?: number;
  /** In milliseconds, 1,000 to 600,000. @defaultValue 60_000 */
  readonly windowMs?: number;
}

/** What a policy may decide. */
export type PolicyAction = 'retry' | 'skip' | 'dead-letter' | 'freeze-partition' | 'freeze-key' | 'stop';

/** What happens when the handler fails. Pure: the worker carries the decision out, once the handler call has really returned. */
export interface FailurePolicy {
  readonly kind: 'failure';
  readonly name: string;
  /**
   * All that `decide` may answer, so that what a worker could not carry out is refused when it is made. A policy that does not say is asked, and what
   * cannot be carried out counts as stop.
   */
  readonly may?: readonly PolicyAction[];
  /** Calls in all before it gives up on a record, the first one included; for words only. */
  readonly maxAttempts?: number;
  /** @param now milliseconds since the epoch */
  decide(failure: Failure, now: number): Decision;
}

/** What a decision is called among a policy's actions. */
export function actionOf(decision: Decision): PolicyAction {
  return decision.do === 'freeze' ? `freeze-${decision.scope}` : decision.do;
}
