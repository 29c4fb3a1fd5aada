import { blocker, openCalls } from './blocker.ts';
import type { Engine } from './engine.ts';
import { toError } from './errors.ts';
import type { Frozen } from './freezer.ts';
import type { HandlerCall } from './handler-call.ts';
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
  const calls = openCalls(engine);
  const frozen = [...engine.outcomes.freezer.frozen()];
  const partitions = [...engine.assignment].map((owned) => ({
    ...partitionStatus(owned, calls, consumer, now),
    isPaused: owned.heldBackFor.has('paused'),
    frozen: frozen.filter((one) => one.owner === owned).map(frozenStatus),
  }));
  return {
    state,
    partitions,
    inFlightRecords: engine.intake.inFlight.records,
    inFlightBytes: engine.intake.inFlight.bytes,
  };
}

function frozenStatus({ scope, item, key, since, error }: Frozen): PartitionStatus['frozen'][number] {
  return { scope, offset: item.received.offset, key, since, error: toError(error).message };
}

function partitionStatus(
  owned: OwnedPartition,
  calls: readonly HandlerCall[],
  consumer: KafkaConsumer | undefined,
  now: number,
): Omit<PartitionStatus, 'frozen' | 'isPaused'> {
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
