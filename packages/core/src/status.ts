import { blocker, openCalls } from './blocker.ts';
import type { Engine } from './engine.ts';
import type { Frozen } from './freezer.ts';
import type { HandlerCall } from './handler-call.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import { toError } from './kafka-worker-error.ts';
import type { Lane } from './lane.ts';
import type { Lanes } from './lanes.ts';
import type { WorkerState } from './lifecycle.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { LaneStatus, PartitionStatus, WorkerStatus } from './worker-status.ts';

const MAX_LANES = 10;

/** A worker's status, made from the engine's state when somebody asks. */
export function statusOf(
  state: WorkerState,
  engine: Engine | undefined,
  consumer: KafkaConsumer | undefined,
  now: number,
): WorkerStatus {
  if (engine === undefined)
    return {
      state,
      partitions: [],
      inFlightRecords: 0,
      inFlightBytes: 0,
      lanes: { open: 0, runningCalls: 0, fullest: [] },
    };
  const calls = openCalls(engine);
  const frozen = [...engine.outcomes.freezer.frozen()];
  const partitions = [...engine.assignment].map((owned) => ({
    ...partitionStatus(owned, engine, calls, consumer, now),
    isPaused: owned.heldBackFor.has('paused'),
    frozen: frozen.filter((one) => one.owner === owned).map((one) => frozenStatus(one, now)),
  }));
  return {
    state,
    partitions,
    inFlightRecords: engine.intake.inFlight.records,
    inFlightBytes: engine.intake.inFlight.bytes,
    lanes: lanesStatus(engine.lanes),
  };
}

function frozenStatus({ scope, item, key, since, error }: Frozen, now: number): PartitionStatus['frozen'][number] {
  const forMs = Math.max(0, now - since);
  return { scope, offset: item.received.offset, key, since, forMs, error: toError(error).message };
}

function lanesStatus(lanes: Lanes<HandlerCall>): WorkerStatus['lanes'] {
  let open = 0;
  const fullest: Lane<HandlerCall>[] = [];
  for (const lane of lanes.all()) {
    open++;
    if (lane.queue.length <= (fullest[MAX_LANES - 1]?.queue.length ?? 0)) continue;
    const at = fullest.findIndex(({ queue }) => queue.length < lane.queue.length);
    fullest.splice(at < 0 ? fullest.length : at, 0, lane);
    if (fullest.length > MAX_LANES) fullest.pop();
  }
  return { open, runningCalls: lanes.runningCount, fullest: fullest.flatMap(laneStatus) };
}

function laneStatus({ queue, name, parent }: Lane<HandlerCall>): LaneStatus[] {
  const first = queue.peek();
  if (first === undefined) return [];
  const { topic, partition, key } = first;
  const text = parent.rule.by === 'key' ? (key?.toString() ?? null) : name;
  return [{ topic, partition, name: text, queued: queue.length }];
}

function partitionStatus(
  owned: OwnedPartition,
  engine: Engine,
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
    stillMs: ledger.openCount === 0 ? 0 : Math.max(0, now - (engine.progress.of(owned)?.frontierSince ?? now)),
    lag,
    ...(blockedBy === undefined ? {} : { blockedBy }),
  };
}
