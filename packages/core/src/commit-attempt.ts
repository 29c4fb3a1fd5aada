import type { Clock } from './clock.ts';
import type { DeliverySession, PartitionProgress } from './delivery.ts';
import { CommitError } from './errors.ts';
import { isKafkaWorkerError, type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { NextOffset } from './record.ts';
import { withTimeout } from './with-timeout.ts';

/** What became of one commit: wholly, in part, or not at all. */
export interface CommitEnd {
  readonly committed: readonly PartitionProgress[];
  readonly failed: readonly PartitionProgress[];
  readonly error: KafkaWorkerError | undefined;
}

/** Commits once, in bounded time. Never rejects. */
export async function attemptCommit(
  session: DeliverySession,
  offsets: readonly PartitionProgress[],
  timeoutMs: number,
  clock: Clock,
): Promise<CommitEnd> {
  try {
    const inTime = await withTimeout(session.commit({ partitions: offsets }), timeoutMs, clock);
    return endOf(offsets, inTime ? undefined : notAcknowledged(offsets));
  } catch (thrown) {
    if (isKafkaWorkerError(thrown)) return endOf(offsets, thrown);
    const failures = failuresOf(offsets, -1, toError(thrown).message);
    return endOf(offsets, new CommitError(failures, { retriable: false, cause: thrown }));
  }
}

/** Of a commit that got no answer, or not even its turn. */
export function notAcknowledged(offsets: readonly NextOffset[]): CommitError {
  return new CommitError(failuresOf(offsets, -185, 'not acknowledged in time'), { retriable: true });
}

/** It failed for messages that can never be written, and what becomes of their records is decided. */
export function isDecided(error: KafkaWorkerError | undefined): error is CommitError {
  return error instanceof CommitError && error.unwritable.length > 0;
}

function endOf(offsets: readonly PartitionProgress[], error: KafkaWorkerError | undefined): CommitEnd {
  if (error === undefined) return { committed: offsets, failed: [], error };
  const named = (error as Partial<CommitError>).failures ?? offsets;
  const names = new Set(named.map(({ topic, partition }) => `${topic}/${partition}`));
  const isFailed = ({ topic, partition }: PartitionProgress): boolean => names.has(`${topic}/${partition}`);
  return { committed: offsets.filter((one) => !isFailed(one)), failed: offsets.filter(isFailed), error };
}

function failuresOf(offsets: readonly NextOffset[], kafkaCode: number, reason: string): CommitError['failures'] {
  return offsets.map(({ topic, partition, offset }) => ({ topic, partition, offset, kafkaCode, reason }));
}
