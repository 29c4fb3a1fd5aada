import type { LaneRule } from './concurrency.ts';
import { Lane, type LaneTraits } from './lane.ts';
import { LaneGroup, type LaneNode } from './lane-group.ts';
import type { KafkaRecord, ReceivedRecord } from './record.ts';

/** Records that no lane could be found for: each for itself. */
const UNLANED: LaneTraits = { width: Number.POSITIVE_INFINITY, isOrdered: false, countsCalls: true, name: undefined };
const NULL_KEYS_AT_ONCE: LaneTraits = {
  width: Number.POSITIVE_INFINITY,
  isOrdered: false,
  countsCalls: true,
  name: null,
};
const NULL_KEYS_IN_ORDER: LaneTraits = { width: 1, isOrdered: true, countsCalls: false, name: null };

/** The scopes of children that are not in a partition or a topic: no topic has the same name. */
const ALL = Symbol('all');
const NULL_KEYS = Symbol('null keys');
const UNLANED_RECORDS = Symbol('unlaned');

/** Where each record belongs: a tree of groups by a strategy's rules, with lanes as leaves, grown and pruned as records come and go. */
export class LaneTree<Call> {
  readonly root: LaneGroup<Call>;
  readonly #viewOf: (record: ReceivedRecord) => KafkaRecord<unknown, unknown>;
  /** What the lane function threw for records that are still to come out. */
  readonly #errors = new Map<ReceivedRecord, unknown>();

  /** @param viewOf the record as the user's lane function sees it */
  constructor(rule: LaneRule, viewOf: (record: ReceivedRecord) => KafkaRecord<unknown, unknown>) {
    this.root = new LaneGroup(rule, undefined, { scope: ALL, key: undefined });
    this.#viewOf = viewOf;
  }

  /** @param partitionId distinguishes partitions, and epochs of the same one */
  laneOf(record: ReceivedRecord, partitionId: number): Lane<Call> {
    let group = this.root;
    for (;;) {
      const child = this.#childOf(group, record, partitionId);
      if (child.isLane) return child;
      group = child;
    }
  }

  /** What the lane function threw for this record, which is in no lane with others then. Told once. */
  takeError(record: ReceivedRecord): { readonly error: unknown } | undefined {
    if (this.#errors.size === 0 || !this.#errors.has(record)) return undefined;
    const error = this.#errors.get(record);
    this.#errors.delete(record);
    return { error };
  }

  /** Forgets an empty lane, and groups that are empty by that. A listing that is left behind finds it not ready. */
  remove(lane: Lane<Call>): void {
    let node: LaneNode<Call> = lane;
    let parent: LaneGroup<Call> | undefined = lane.parent;
    while (parent !== undefined && !parent.isPermanent) {
      parent.children.remove(node);
      deactivate(node);
      if (parent.children.size > 0) return;
      node = parent;
      parent = parent.parent;
    }
  }

  *lanes(group: LaneGroup<Call> = this.root): Generator<Lane<Call>> {
    for (const child of group.children.values()) {
      if (child.isLane) yield child;
      else yield* this.lanes(child);
    }
  }

  #childOf(group: LaneGroup<Call>, record: ReceivedRecord, partitionId: number): LaneNode<Call> {
    const { by } = group.rule;
    if (by === 'all') return this.#child(group, ALL, undefined, undefined);
    if (by === 'partition') return this.#child(group, ALL, partitionId, undefined);
    if (by === 'key') {
      const name = keyName(record);
      return name === null ? nullKeyLane(group, partitionId) : this.#named(group, record, partitionId, name);
    }
    let name: string;
    try {
      name = by(this.#viewOf(record) as KafkaRecord<never, never>);
      if (typeof name !== 'string') throw new TypeError(`the lane function returned ${String(name)}, not a string`);
    } catch (error) {
      this.#errors.set(record, error);
      return special(group, UNLANED_RECORDS, partitionId, UNLANED);
    }
    return this.#named(group, record, partitionId, name);
  }

  #named(group: LaneGroup<Call>, record: ReceivedRecord, partitionId: number, name: string): LaneNode<Call> {
    const { across } = group.rule;
    const scope = across === 'all' ? ALL : across === 'topic' ? record.topic : partitionId;
    return this.#child(group, scope, name, name);
  }

  #child(group: LaneGroup<Call>, scope: unknown, key: unknown, name: string | undefined): LaneNode<Call> {
    const known = group.children.get(scope, key);
    if (known !== undefined) return known;
    const { inside } = group.rule;
    let child: LaneNode<Call>;
    if ('width' in inside) {
      const isOrdered = inside.width === 1 && inside.unordered !== true;
      child = new Lane(group, { scope, key }, { width: inside.width, isOrdered, countsCalls: false, name });
    } else {
      child = new LaneGroup(inside, group, { scope, key });
    }
    group.children.add(child);
    return child;
  }
}

/** Gives a node's place among the active ones back. */
export function deactivate<Call>(node: LaneNode<Call>): void {
  if (!node.isActive) return;
  node.isActive = false;
  const { parent } = node;
  if (parent === undefined) return;
  parent.activeChildren--;
  if (!node.isLane) node.isYielding = false;
}

function nullKeyLane<Call>(group: LaneGroup<Call>, partitionId: number): LaneNode<Call> {
  const nullKeys = group.rule.nullKeys ?? 'parallel';
  const key = nullKeys === 'one-lane' ? undefined : partitionId;
  return special(group, NULL_KEYS, key, nullKeys === 'parallel' ? NULL_KEYS_AT_ONCE : NULL_KEYS_IN_ORDER);
}

/** A lane beside those that the rule makes. */
function special<Call>(group: LaneGroup<Call>, scope: symbol, key: unknown, traits: LaneTraits): LaneNode<Call> {
  const known = group.children.get(scope, key);
  if (known !== undefined) return known;
  const lane = new Lane(group, { scope, key }, traits);
  group.children.add(lane);
  return lane;
}

/** A string for every sequence of bytes, another one for each. */
function keyName(record: ReceivedRecord): string | null {
  return record.keyAsLatin1 === undefined ? (record.key?.toString('latin1') ?? null) : record.keyAsLatin1();
}
