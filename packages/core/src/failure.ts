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
  /** The worker ends, with the record not done: it comes first after a restart. */
  | { readonly do: 'stop' };

/** What happens when the handler fails. Pure: the worker carries the decision out, once the handler call has really returned. */
export interface FailurePolicy {
  readonly kind: 'failure';
  readonly name: string;
  /** @param now milliseconds since the epoch */
  decide(failure: Failure, now: number): Decision;
}
