import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Intake } from './intake.ts';
import type { Lane } from './lane.ts';
import { NOTHING_ASIDE, type OwnedPartition } from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';

/** What frozen lanes act on. */
export interface FrozenLaneParts {
  readonly intake: Intake;
  readonly ownerOf: (record: ReceivedRecord) => OwnedPartition | undefined;
}

/** Lanes with calls that are frozen: what these hold, and what is queued behind them, takes no room from others. */
export class FrozenLanes {
  readonly #parts: FrozenLaneParts;
  /** How many calls of a lane are frozen: more than one where records of a batch failed alone, or nothing orders them. */
  readonly #lanes = new Map<Lane<HandlerCall>, number>();
  readonly #owners = new Set<OwnedPartition>();

  constructor(parts: FrozenLaneParts) {
    this.#parts = parts;
  }

  add(lane: Lane<HandlerCall>, call: HandlerCall): void {
    const calls = this.#lanes.get(lane) ?? 0;
    this.#lanes.set(lane, calls + 1);
    if (calls === 0) {
      lane.isFrozen = lane.isOrdered;
      if (lane.isFrozen) this.#countQueue(lane, 1);
    }
    this.#countItems(call, 1);
  }

  /** A record was queued in a lane that is frozen. */
  noteQueued(owner: OwnedPartition, record: ReceivedRecord): void {
    this.#count(owner, record, 1);
  }

  remove(lane: Lane<HandlerCall>, call: HandlerCall): void {
    const left = (this.#lanes.get(lane) ?? 1) - 1;
    this.#countItems(call, -1);
    if (left > 0) {
      this.#lanes.set(lane, left);
      return;
    }
    this.#lanes.delete(lane);
    if (lane.isFrozen) this.#countQueue(lane, -1);
    lane.isFrozen = false;
  }

  /** Counts anew, when records were taken out of lanes. */
  recount(calls: Iterable<HandlerCall>): void {
    for (const owner of this.#owners) this.#parts.intake.setAside(owner, 'keys', NOTHING_ASIDE);
    this.#owners.clear();
    for (const call of calls) this.#countItems(call, 1);
    for (const lane of this.#lanes.keys()) if (lane.isFrozen) this.#countQueue(lane, 1);
  }

  #countQueue(lane: Lane<HandlerCall>, sign: 1 | -1): void {
    for (const record of lane.queue) {
      const owner = this.#parts.ownerOf(record);
      if (owner !== undefined) this.#count(owner, record, sign);
    }
  }

  #countItems(call: HandlerCall, sign: 1 | -1): void {
    const items: readonly CallItem[] = call.isEmpty ? [] : (call.items ?? [call]);
    for (const { owner, received } of items) this.#count(owner, received, sign);
  }

  #count(owner: OwnedPartition, record: ReceivedRecord, sign: 1 | -1): void {
    if (owner.phase === 'ended') return;
    const { intake } = this.#parts;
    if (sign > 0) intake.detach(owner, record);
    this.#owners.add(owner);
    const { keys } = owner.asides;
    const bytes = keys.bytes + sign * record.sizeBytes;
    intake.setAside(owner, 'keys', { records: keys.records + sign, bytes });
  }
}
