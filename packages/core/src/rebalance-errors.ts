import type { CommitError, CommitFailure } from './errors.ts';
import type { KafkaWorkerError } from './kafka-worker-error.ts';

const ILLEGAL_GENERATION = 22;
const UNKNOWN_MEMBER_ID = 25;
const REBALANCE_IN_PROGRESS = 27;
const STALE_MEMBER_EPOCH = 113;

/**
 * Whether a commit was refused because the group is changing: the partition is somebody else's, or will be ours again, and assignment events tell
 * which. Nothing that a person has to act on.
 */
export function isExplainedByRebalance(error: KafkaWorkerError): boolean {
  return hasOnly(error, [ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH]);
}

/** Whether the same commit can succeed in a moment, for the broker only takes none of this generation now, or none of this member's epoch yet. */
export function isRebalanceUnderWay(error: KafkaWorkerError): boolean {
  return hasOnly(error, [REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH]);
}

/**
 * Whether the same commit can succeed in a moment for a member that still is one: the group has a new generation, of which the member is just about to hear.
 * One that was expelled hears that its partitions are lost.
 */
export function isBetweenGenerations(error: KafkaWorkerError): boolean {
  return hasOnly(error, [ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS, STALE_MEMBER_EPOCH]);
}

/** Whether the broker knows this member, or this generation of it, no more: the partition is somebody else's. */
export function isOfAnother(failure: CommitFailure): boolean {
  return failure.kafkaCode === ILLEGAL_GENERATION || failure.kafkaCode === UNKNOWN_MEMBER_ID;
}

function hasOnly(error: KafkaWorkerError, codes: readonly number[]): boolean {
  const { failures } = error as Partial<CommitError>;
  return (
    failures !== undefined && failures.length > 0 && failures.every((failure) => codes.includes(failure.kafkaCode))
  );
}
