import type { Clock } from './clock.ts';
import { IllegalStateError } from './errors.ts';
import type { EventListeners } from './events.ts';
import { FrozenLanes } from './frozen-lanes.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Intake } from './intake.ts';
import { toError } from './kafka-worker-error.ts';
import type { Lane } from './lane.ts';
import type { Lanes } from './lanes.ts';
import type { Logger } from './logger.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { ReceivedRecord, TopicPartition } from './record.ts';
import type { Suspensions } from './suspensions.ts';

/** What freezing acts on. */
export interface FreezerParts {
  readonly lanes: Lanes<HandlerCall>;
  readonly intake: Intake;
  readonly suspensions: Suspensions;
  readonly events: EventListeners;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly laneNow: () => number;
  readonly ownerOf: (record: ReceivedRecord) => OwnedPartition | undefined;
  /** The user passes the record over: it counts as finished. */
  readonly skipped: (call: HandlerCall, item: CallItem) => void;
}

/** A partition, or a key, that stopped at a record. */
export interface Frozen {
  readonly scope: 'partition' | 'key';
  readonly owner: OwnedPartition;
  readonly item: CallItem;
  /** What is tried again. */
  readonly call: HandlerCall;
  /** The key's lane; undefined for a partition. */
  readonly lane: Lane<HandlerCall> | undefined;
  /** The record's key, or the name of its lane, for people. */
  readonly key: string | null;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly error: unknown;
  /** Given where the record is handled, and what it has sent cannot be written: writes that again, or drops it. */
  readonly resume?: (skip: boolean) => void;
}

/** What is to be unfrozen. */
export interface UnfreezeTarget extends TopicPartition {
  /** The record's key, compared by bytes; under `laneBy` the lane's name. Left out: the partition. */
  readonly key?: Buffer | string | null;
  /**
   * Instead of `key`: whatever stands still at the record of this offset, as `status()` lists it, and nothing else of its partition. For somebody who has
   * looked before: what has gone on since, and stands at another record, is left alone.
   */
  readonly offset?: number;
  /**
   * One record, the first that failed of that partition or key, is passed over, and counts as finished; the others that failed are tried again.
   * Without it all of them are. @defaultValue false
   */
  readonly skip?: boolean;
}

/** Partitions and keys that stand still at a failed record, until somebody unfreezes them or they are no longer ours. */
export class Freezer {
  readonly #parts: FreezerParts;
  readonly #frozen = new Set<Frozen>();
  readonly #lanes: FrozenLanes;

  constructor(parts: FreezerParts) {
    this.#parts = parts;
    this.#lanes = new FrozenLanes(parts);
  }

  *frozen(): Generator<Frozen> {
    yield* this.#frozen;
  }

  /** The call has failed; the caller ends it. */
  freezePartition(call: HandlerCall, item: CallItem, error: unknown): void {
    const { suspensions } = this.#parts;
    call.nextAttempt();
    // A batch over several partitions freezes them all: none of its records was handled.
    for (const owner of new Set((call.items ?? [call]).map((one) => one.owner))) {
      const part = call.items === undefined ? call : call.split(call.items.filter((one) => one.owner === owner));
      if (owner.phase !== 'active') {
        part.withdraw('leaving');
        continue;
      }
      const isNew = !owner.heldBackFor.has('frozen');
      suspensions.suspend(owner, 'frozen');
      suspensions.keepCall(part, owner);
      const first = owner === item.owner ? item : part.first;
      // What fails while its partition is frozen already is tried again with the rest.
      if (isNew) this.#add({ scope: 'partition', owner, item: first, call: part, lane: undefined }, error);
    }
  }

  /** What a handled record has sent cannot be written: nothing more of its partition is started, until it goes on by `resume`. */
  freezeKept(call: HandlerCall, error: unknown, resume: (skip: boolean) => void): void {
    const { owner } = call;
    if (owner.phase !== 'active') return;
    this.#parts.suspensions.suspend(owner, 'frozen');
    this.#add({ scope: 'partition', owner, item: call, call, lane: undefined, resume }, error);
  }

  /** As {@link freezePartition}; the lane is held from now on. */
  freezeKey(call: HandlerCall, item: CallItem, error: unknown): void {
    const { lane } = call;
    call.withdraw('leaving');
    if (call.isEmpty) return;
    this.#parts.lanes.hold(lane);
    call.nextAttempt();
    for (const { owner, received } of call.items ?? [call]) owner.leaveOpen(received.offset);
    this.#lanes.add(lane, call);
    const stands = item.owner.phase === 'active' ? item : call.first;
    this.#add({ scope: 'key', owner: stands.owner, item: stands, call, lane }, error);
  }

  /** A record was queued in a lane that is frozen. */
  noteQueued(owner: OwnedPartition, record: ReceivedRecord): void {
    this.#lanes.noteQueued(owner, record);
  }

  /** Records were taken out of the lanes. */
  noteExtracted(): void {
    this.#lanes.recount([...this.#frozen].flatMap(({ call, lane }) => (lane === undefined ? [] : [call])));
  }

  /** @throws IllegalStateError when there is nothing frozen there */
  unfreeze({ skip = false, ...which }: UnfreezeTarget): void {
    const { topic, partition } = which;
    const there = [...this.#frozen].filter(({ owner }) => owner.topic === topic && owner.partition === partition);
    const found = there.filter((one) => isMeant(one, which));
    if (found.length === 0) throw new IllegalStateError(nothingFrozen(which, there));
    // Where records of a batch failed alone, or nothing orders them, there may be several: only the first one is passed over, the others are tried again.
    found.sort((a, b) => a.item.received.offset - b.item.received.offset);
    for (const [i, one] of found.entries()) this.#unfreeze(one, skip && i === 0);
  }

  /** What left, or was lost, is frozen no more: whoever has it now gets the failed record first. */
  dropLeaving(): void {
    const { lanes, laneNow } = this.#parts;
    for (const one of [...this.#frozen]) {
      const { call, lane, owner } = one;
      if (lane === undefined) {
        if (owner.phase !== 'active') this.#frozen.delete(one);
        continue;
      }
      call.withdraw('leaving');
      if (call.isEmpty) {
        this.#frozen.delete(one);
        this.#lanes.remove(lane, call);
        lanes.unpark(lane, undefined, laneNow());
      } else if (owner.phase !== 'active') {
        // Of a batch over several partitions, the others' records still wait.
        this.#frozen.delete(one);
        this.#frozen.add({ ...one, owner: call.first.owner, item: call.first });
      }
    }
    this.noteExtracted();
  }

  #unfreeze(one: Frozen, skip: boolean): void {
    const { lanes, suspensions, events, laneNow, skipped } = this.#parts;
    const { scope, owner, item, call, lane, key } = one;
    this.#frozen.delete(one);
    if (lane !== undefined) this.#lanes.remove(lane, call);
    if (one.resume !== undefined) {
      one.resume(skip);
    } else if (skip) {
      skipped(call, item);
      if (call.items === undefined) call.isDropped = true;
      else call.items = call.items.filter((other) => other !== item);
      if (lane === undefined) suspensions.passOver(call, item);
    }
    if (lane === undefined) {
      suspensions.release(owner, 'frozen');
    } else {
      lanes.unpark(lane, call.isEmpty || suspensions.keep(call) ? undefined : call, laneNow());
    }
    const { topic, partition } = owner;
    events.emit('unfrozen', { topic, partition, scope, key, skipped: skip });
  }

  #add(frozen: Omit<Frozen, 'key' | 'since' | 'error'>, error: unknown): void {
    const { events, logger, clock } = this.#parts;
    const { scope, item, lane } = frozen;
    const { topic, partition, offset, key: bytes } = item.received;
    const name = scope === 'key' && lane !== undefined ? laneName(lane, item) : (bytes?.toString() ?? null);
    this.#frozen.add({ ...frozen, key: name, since: clock.now(), error });
    logger.error(`${scope === 'key' ? 'a key' : 'a partition'} is frozen at a record that failed`, {
      ...{ topic, partition, offset, key: name, error: toError(error) },
    });
    events.emit('frozen', { topic, partition, scope, key: name, offset, error });
  }
}

function isMeant(one: Frozen, { key, offset }: UnfreezeTarget): boolean {
  if (offset !== undefined) return one.item.received.offset === offset;
  return key === undefined ? one.scope === 'partition' : isOfKey(one, key);
}

function isOfKey({ scope, lane, item }: Frozen, key: Buffer | string | null): boolean {
  if (scope !== 'key' || lane === undefined) return false;
  if (isNamedByKey(lane)) {
    const own = item.received.key;
    if (key === null || own === null) return key === own;
    return own.equals(Buffer.from(key as Buffer));
  }
  // A record without a lane has no name.
  return (lane.name ?? null) === (key?.toString() ?? null);
}

function isNamedByKey(lane: Lane<HandlerCall>): boolean {
  return lane.parent.rule.by === 'key';
}

function laneName(lane: Lane<HandlerCall>, item: CallItem): string | null {
  return isNamedByKey(lane) ? (item.received.key?.toString() ?? null) : (lane.name ?? null);
}

function nothingFrozen(
  { topic, partition, key, offset }: UnfreezeTarget,
  there: readonly Pick<Frozen, 'scope' | 'key' | 'item'>[],
): string {
  const place = offset === undefined ? '' : ` at offset ${offset}`;
  const what =
    key === undefined
      ? `${topic}/${partition} is`
      : `key ${key === null ? 'null' : `'${key.toString()}'`} of ${topic}/${partition} is`;
  const rest = there.map((one) => {
    const name = one.scope === 'key' ? `key ${one.key === null ? 'null' : `'${one.key}'`}` : 'the partition';
    return offset === undefined ? name : `${name} at ${one.item.received.offset}`;
  });
  return `${what} not frozen${place}${rest.length === 0 ? '' : `, but ${rest.join(', ')} is`}: status() lists what is`;
}
