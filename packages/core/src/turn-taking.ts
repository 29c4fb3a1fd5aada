import type { BatchFilling } from './batch-filling.ts';
import type { Fifo } from './fifo.ts';
import type { Lane } from './lane.ts';
import type { LaneGroup, LaneNode } from './lane-group.ts';
import { deactivate } from './lane-tree.ts';

/**
 * Who starts next in a tree of lanes. A node is *ready* when it has something to start and a slot; ready nodes wait in their parent's queues and are
 * visited round robin. Where a group's active children are limited, a child with rules inside keeps its place for a turn, then waits for the next
 * one behind the others, and ends what runs meanwhile. Pure.
 */
export class TurnTaking<Call> {
  readonly #filling: BatchFilling<Call>;
  readonly #hasTurns: boolean;

  constructor(filling: BatchFilling<Call>, hasTurns: boolean) {
    this.#filling = filling;
    this.#hasTurns = hasTurns;
  }

  /** Starts a call somewhere below a group: the lane that it is taken from. */
  startBelow(group: LaneGroup<Call>, now: number): Lane<Call> | undefined {
    for (;;) {
      const node = this.#queueToServe(group, now).shift();
      if (node === undefined) return undefined;
      const wasListedAs = node.listing;
      node.listing = 'none';
      if (!this.isReady(node, now)) {
        if (node.running === 0) deactivate(node);
        continue;
      }
      // It has given its place up meanwhile: it waits like the others.
      if (wasListedAs === 'active' && !node.isActive && (group.readyIdle.length > 0 || !group.mayActivate())) {
        this.#list(node);
        continue;
      }
      if (!node.isLane && node.isYielding) node.beginTurn(now);
      else if (!node.isLane && node.isActive && this.#mustYield(node, group, now)) continue;
      const lane = node.isLane ? node : this.startBelow(node, now);
      if (lane === undefined) {
        if (node.running === 0) deactivate(node);
        continue;
      }
      this.#started(node, group, now);
      return lane;
    }
  }

  /** A call of the lane is over: its slots, and the places that nothing runs in any more, are free. */
  ended(lane: Lane<Call>, now: number): void {
    lane.running--;
    let child: LaneNode<Call> = lane;
    for (let parent = parentOf(child); parent !== undefined; parent = parentOf(child)) {
      parent.running--;
      if (child.isLane && child.countsCalls) parent.activeChildren--;
      else if (child.running === 0) this.#leavePlace(child, now);
      if (child.listing === 'none' && this.isReady(child, now)) this.#list(child);
      child = parent;
    }
  }

  #started(node: LaneNode<Call>, group: LaneGroup<Call>, now: number): void {
    group.running++;
    if (node.isLane) node.running++;
    if (node.isLane && node.countsCalls) {
      group.activeChildren++;
    } else if (!node.isActive) {
      node.isActive = true;
      group.activeChildren++;
      if (!node.isLane) node.beginTurn(now);
    }
    if (!node.isLane) node.noteStarted(1);
    if ((!node.isLane || node.width > 1) && this.isReady(node, now)) this.#list(node);
  }

  /** Whether an active child's turn is over and another one waits: then it waits behind it, and leaves its place when nothing of it runs. */
  #mustYield(node: LaneGroup<Call>, group: LaneGroup<Call>, now: number): boolean {
    if (!node.hasTurns || node.isInTurn(now) || group.mayActivate()) return false;
    const first = this.#first(group.readyIdle, now);
    if (first === undefined || (isYielding(first) && group.readyIdle.length === 1)) return false;
    if (node.running === 0) deactivate(node);
    else node.isYielding = true;
    this.#list(node);
    return true;
  }

  /** The first that is really ready. Listings are hints: what a node was listed for may be gone, taken or extracted. */
  #first(queue: Fifo<LaneNode<Call>>, now: number): LaneNode<Call> | undefined {
    let first = queue.peek();
    for (; first !== undefined && !this.isReady(first, now); first = queue.peek()) {
      queue.shift();
      first.listing = 'none';
      if (first.running === 0) deactivate(first);
    }
    return first;
  }

  /** Whether the first of `readyIdle` may start: there is a place for it, or it has not left its own yet. */
  #mayServeIdle(group: LaneGroup<Call>, now: number): boolean {
    if (group.readyIdle.length === 0) return false;
    // Where no turns are kept, a listing that is out of date makes a group ready that is not, and nothing worse.
    if (!this.#hasTurns || !group.hasGroups) return group.mayActivate();
    const first = this.#first(group.readyIdle, now);
    return first !== undefined && (group.mayActivate() || isYielding(first));
  }

  /** Which of a group's queues is served next: where both may start, they take turns. */
  #queueToServe(group: LaneGroup<Call>, now: number): LaneGroup<Call>['readyIdle'] {
    const { readyActive, readyIdle } = group;
    if (!this.#mayServeIdle(group, now)) return readyActive;
    if (readyActive.length === 0) return readyIdle;
    group.wasActiveServed = !group.wasActiveServed;
    return group.wasActiveServed ? readyActive : readyIdle;
  }

  /** Nothing of a child runs: it keeps its place only if it is in its turn and has more to start. */
  #leavePlace(child: LaneNode<Call>, now: number): void {
    if (!child.isLane && !child.isYielding && child.isInTurn(now) && this.isReady(child, now)) return;
    deactivate(child);
  }

  /** Whether a node has something to start, and a slot for it. */
  isReady(node: LaneNode<Call>, now: number): boolean {
    if (!node.isLane) {
      if (node.running >= node.maxCalls) return false;
      const hasTurns = this.#hasTurns;
      if (hasTurns ? this.#first(node.readyActive, now) !== undefined : node.readyActive.length > 0) return true;
      if (hasTurns && this.#first(node.readyIdle, now) === undefined) return false;
      return this.#mayServeIdle(node, now);
    }
    if (node.running >= node.width || node.isBlocked()) return false;
    return node.resumed.length > 0 || this.#filling.isFilled(node, now);
  }

  /** Lists a node that became ready with its parent, which may have become ready by that, and so on. */
  listUpwards(node: LaneNode<Call>, now: number): void {
    let child = node;
    while (child.parent !== undefined) {
      if (child.listing === 'none' && this.isReady(child, now)) this.#list(child);
      child = child.parent;
    }
  }

  #list(node: LaneNode<Call>): void {
    const { parent } = node;
    if (parent === undefined) return;
    // Without a limit the two queues would only spoil the round robin.
    const isActive = node.isActive && !isYielding(node) && parent.rule.active !== Number.POSITIVE_INFINITY;
    node.listing = isActive ? 'active' : 'idle';
    (isActive ? parent.readyActive : parent.readyIdle).push(node);
  }
}

function isYielding<Call>(node: LaneNode<Call> | undefined): boolean {
  return node !== undefined && !node.isLane && node.isYielding;
}

function parentOf<Call>(node: LaneNode<Call>): LaneGroup<Call> | undefined {
  return node.parent;
}
