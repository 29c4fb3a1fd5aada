import type { LaneRule } from './concurrency.ts';
import { Fifo } from './fifo.ts';
import type { Lane, Listing } from './lane.ts';
import { LaneChildren, type Place } from './lane-children.ts';

export type LaneNode<Call> = Lane<Call> | LaneGroup<Call>;

/** How long a lane with rules inside keeps its place while others wait. */
const DEFAULT_TURN = { maxRecords: 1_000, maxMs: 1_000 };

/** Nodes that share a rule's limits: the lanes of a level, or groups with rules of their own inside. */
export class LaneGroup<Call> {
  readonly isLane = false as const;
  readonly rule: LaneRule;
  readonly parent: LaneGroup<Call> | undefined;
  /** Among the children of its parent. */
  readonly place: Place;
  /** Its one child stays when it is empty: no record would get another one. */
  readonly isPermanent: boolean;
  readonly maxCalls: number;
  /** Its children are groups, those for records without a key or a name excepted. */
  readonly hasGroups: boolean;
  readonly children: LaneChildren<LaneNode<Call>> = new LaneChildren<LaneNode<Call>>();
  /** Ready children that hold no place among the active ones, and those that do: where places are limited only the latter may start. */
  readonly readyIdle: Fifo<LaneNode<Call>> = new Fifo<LaneNode<Call>>();
  readonly readyActive: Fifo<LaneNode<Call>> = new Fifo<LaneNode<Call>>();
  running = 0;
  isActive = false;
  activeChildren = 0;
  listing: Listing = 'none';
  /** Active, and its turn is over: it waits for the next one among the idle, and leaves its place when nothing of it runs. */
  isYielding = false;
  wasActiveServed = false;
  readonly #turn: { readonly maxRecords: number; readonly maxMs: number } | undefined;
  #turnBeganAt = 0;
  #turnRecords = 0;

  constructor(rule: LaneRule, parent: LaneGroup<Call> | undefined, place: Place) {
    this.rule = rule;
    this.parent = parent;
    this.place = place;
    this.isPermanent = rule.by === 'all' && (parent === undefined || parent.isPermanent);
    this.hasGroups = !('width' in rule.inside);
    this.maxCalls = rule.calls ?? Number.POSITIVE_INFINITY;
    if (parent !== undefined && Number.isFinite(parent.rule.active)) this.#turn = parent.rule.turn ?? DEFAULT_TURN;
  }

  /** Whether one more child may become active. */
  mayActivate(): boolean {
    return this.activeChildren < this.rule.active;
  }

  beginTurn(now: number): void {
    this.isYielding = false;
    this.#turnBeganAt = now;
    this.#turnRecords = 0;
  }

  noteStarted(records: number): void {
    this.#turnRecords += records;
  }

  /** Whether it keeps its place, also at a moment when nothing of it runs. */
  isInTurn(now: number): boolean {
    if (this.#turn === undefined) return false;
    return this.#turnRecords < this.#turn.maxRecords && now - this.#turnBeganAt < this.#turn.maxMs;
  }

  get hasTurns(): boolean {
    return this.#turn !== undefined;
  }
}
