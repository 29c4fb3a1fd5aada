import type { Engine } from './engine.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { PartitionStatus } from './worker-status.ts';

/** Every call that has begun and is not over: it runs, waits for a retry or its dead letter, or is frozen. */
export function openCalls({ dispatcher, outcomes }: Pick<Engine, 'dispatcher' | 'outcomes'>): HandlerCall[] {
  const waiting = [...outcomes.retries.waiting(), ...outcomes.freezer.frozen(), ...outcomes.deadLetters.pending()];
  return [...dispatcher.running(), ...waiting.map(({ call }) => call)];
}

/** What keeps a partition's frontier where it is: a call with the record there, or one that holds that record's lane. */
export function blocker(
  owned: OwnedPartition,
  calls: readonly HandlerCall[],
  now: number,
): PartitionStatus['blockedBy'] {
  const { nextOffset } = owned.ledger;
  for (const call of calls) {
    const item = (call.items ?? [call]).find((one) => one.owner === owned && one.received.offset === nextOffset);
    if (item !== undefined) return blockedBy(call, item, now);
  }
  // Its next record may wait in a lane that a record of another partition holds.
  for (const call of calls) {
    if (!call.lane.isOrdered) continue;
    for (const { topic, partition, offset } of call.lane.queue) {
      if (offset === nextOffset && partition === owned.partition && topic === owned.topic)
        return blockedBy(call, call.first, now);
    }
  }
  return undefined;
}

function blockedBy(call: HandlerCall, { received }: CallItem, now: number): PartitionStatus['blockedBy'] {
  const { topic, partition, offset, key } = received;
  const sinceMs = now - (call.firstFailedAt ?? call.startedAt);
  return { topic, partition, offset, key: key?.toString() ?? null, attempt: call.attempt, sinceMs };
}
