import type { Assignment } from './assignment.ts';
import { openCalls } from './blocker.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { HandlerCall } from './handler-call.ts';
import type { Lane } from './lane.ts';
import type { LaneNode } from './lane-group.ts';
import type { Lanes } from './lanes.ts';
import type { Outcomes } from './outcomes.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';

/** A timer may be late by so much, and what waits for it still waits for the time. */
const LATE_MS = 1_000;

/** What is looked at. */
export interface StartableParts {
  readonly assignment: Assignment;
  readonly lanes: Lanes<HandlerCall>;
  readonly dispatcher: Dispatcher;
  readonly outcomes: Outcomes;
  /** The time as the lanes have it. */
  readonly now: number;
}

/**
 * Partitions with records that wait for nothing that is known of: no call holds their lane or the place that they would need, and no batch, rate or person
 * is waited for; or whose next record is nowhere. It asks the calls themselves what they hold, and not the scheduler, which could start these, and does not.
 */
export function startableOwners(parts: StartableParts): Set<OwnedPartition> {
  const { assignment, lanes, dispatcher, outcomes, now } = parts;
  const startable = new Set<OwnedPartition>();
  const isFree = freeLanes(parts);
  const placed = new Set<OwnedPartition>();
  for (const { items, owner, received } of openCalls({ dispatcher, outcomes }))
    for (const item of items ?? [{ owner, received }]) if (isNext(item.owner, item.received)) placed.add(item.owner);
  for (const lane of lanes.all()) {
    const waitsForNothing = isFree(lane);
    const found = (owner: OwnedPartition, record: ReceivedRecord): void => {
      if (waitsForNothing) startable.add(owner);
      if (isNext(owner, record)) placed.add(owner);
    };
    for (const record of lane.queue) {
      const owner = assignment.ownerOf(record);
      if (owner !== undefined) found(owner, record);
    }
    for (const call of lane.resumed) for (const item of call.items ?? [call]) found(item.owner, item.received);
  }
  for (const owner of assignment) if (!placed.has(owner)) startable.add(owner);
  if (lanes.mayWaitForRate(now - LATE_MS)) for (const owner of placed) startable.delete(owner);
  return startable;
}

function isNext({ ledger }: OwnedPartition, { offset }: ReceivedRecord): boolean {
  return ledger.nextOffset === offset;
}

/** Whether nothing that is known keeps a lane from starting what is queued in it. */
function freeLanes({ dispatcher, outcomes, now }: StartableParts): (lane: Lane<HandlerCall>) => boolean {
  const held = heldBy(dispatcher);
  const blocked = blockedLanes(outcomes);
  return (lane) =>
    !(lane.isOrdered && blocked.has(lane)) &&
    (lane.filling === undefined || lane.filling.dueAt <= now - LATE_MS) &&
    (held.get(lane) ?? 0) < lane.width &&
    hasPlace(lane, held);
}

/** Lanes that wait for more than a free place: a retry, a dead letter that is to be written, a person. */
export function blockedLanes(
  { retries, deadLetters, freezer }: Outcomes,
  isBlocked: (pending: { readonly isWriting: boolean }) => boolean = () => true,
): ReadonlySet<Lane<HandlerCall>> {
  const blocked = new Set<Lane<HandlerCall>>();
  for (const { call } of retries.waiting()) blocked.add(call.lane);
  for (const pending of deadLetters.pending()) if (isBlocked(pending)) blocked.add(pending.call.lane);
  for (const { lane } of freezer.frozen()) if (lane !== undefined) blocked.add(lane);
  return blocked;
}

/** How many calls run in each lane, and below each group. */
function heldBy(dispatcher: Dispatcher): ReadonlyMap<LaneNode<HandlerCall>, number> {
  const held = new Map<LaneNode<HandlerCall>, number>();
  for (const { lane } of dispatcher.running())
    for (let node: LaneNode<HandlerCall> | undefined = lane; node !== undefined; node = node.parent)
      held.set(node, (held.get(node) ?? 0) + 1);
  return held;
}

/** Whether each group above the lane lets one more call of it run. */
function hasPlace(lane: Lane<HandlerCall>, held: ReadonlyMap<LaneNode<HandlerCall>, number>): boolean {
  let node: LaneNode<HandlerCall> = lane;
  for (let group = lane.parent as typeof lane.parent | undefined; group !== undefined; group = group.parent) {
    if ((held.get(group) ?? 0) >= group.maxCalls) return false;
    // One whose turn is over ends what it runs, and waits for the next like the others.
    const hasPlaceAlready = held.has(node) && !(node.isLane ? node.countsCalls : node.isYielding);
    if (!hasPlaceAlready && placesTaken(group, held) >= group.rule.active) return false;
    node = group;
  }
  return true;
}

function placesTaken(
  { rule, children }: Exclude<LaneNode<HandlerCall>, Lane<HandlerCall>>,
  held: ReadonlyMap<LaneNode<HandlerCall>, number>,
): number {
  if (rule.active === Number.POSITIVE_INFINITY) return 0;
  let taken = 0;
  for (const child of children.values()) {
    const calls = held.get(child) ?? 0;
    taken += child.isLane && child.countsCalls ? calls : Math.min(calls, 1);
  }
  return taken;
}
