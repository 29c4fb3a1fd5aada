import type { Engine } from './engine.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import type { WorkerState } from './lifecycle.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { PartitionStatus, WorkerStatus } from './worker-status.ts';

/** A worker's status, made from the engine's state when somebody asks. */
export function statusOf(
  state: WorkerState,
  engine: Engine | undefined,
  consumer: KafkaConsumer | undefined,
  now: number,
): WorkerStatus {
  if (engine === undefined) return { state, partitions: [], inFlightRecords: 0, inFlightBytes: 0 };
  const calls = [...engine.dispatcher.running(), ...[...engine.outcomes.parked()].map(({ call }) => call)];
  const partitions = [...engine.assignment].map((owned) => partitionStatus(owned, calls, consumer, now));
  return {
    state,
    partitions,
    inFlightRecords: engine.intake.inFlight.records,
    inFlightBytes: engine.intake.inFlight.bytes,
  };
}

function partitionStatus(
  owned: OwnedPartition,
  calls: readonly HandlerCall[],
  consumer: KafkaConsumer | undefined,
  now: number,
): PartitionStatus {
  const { topic, partition, ledger, committedOffset } = owned;
  const end = consumer?.watermarks({ topic, partition })?.latest;
  const nextOffset = ledger.nextOffset;
  const lag = end === undefined ? undefined : Math.max(0, end - nextOffset);
  const blockedBy = blocker(owned, calls, now);
  return {
    topic,
    partition,
    nextOffset,
    committedOffset,
    inFlight: ledger.openCount,
    lag,
    ...(blockedBy === undefined ? {} : { blockedBy }),
  };
}

function blocker(owned: OwnedPartition, calls: readonly HandlerCall[], now: number): PartitionStatus['blockedBy'] {
  const isFrontier = (item: CallItem): boolean =>
    item.owner === owned && item.received.offset === owned.ledger.nextOffset;
  for (const call of calls) {
    const item = (call.items ?? [call]).find(isFrontier);
    if (item === undefined) continue;
    const sinceMs = now - (call.firstFailedAt ?? call.startedAt);
    return { offset: item.received.offset, key: item.received.key?.toString() ?? null, attempt: call.attempt, sinceMs };
  }
  return undefined;
}
