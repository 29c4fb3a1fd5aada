import type { Clock } from './clock.ts';
import { IllegalStateError, toError } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Intake } from './intake.ts';
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
}

/** What is to be unfrozen. */
export interface UnfreezeTarget extends TopicPartition {
  /** The record's key, compared by bytes; under `laneBy` the lane's name. Left out: the partition. */
  readonly key?: Buffer | string | null;
  /** The failed record is passed over, and counts as finished; otherwise it is tried again. @defaultValue false */
  readonly skip?: boolean;
}

/** Partitions and keys that stand still at a failed record, until somebody unfreezes them or they are no longer ours. */
export class Freezer {
  readonly #parts: FreezerParts;
  readonly #frozen = new Set<Frozen>();

  constructor(parts: FreezerParts) {
    this.#parts = parts;
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
      if (owner.phase !== 'active') continue;
      const isNew = !owner.heldBackFor.has('frozen');
      suspensions.suspend(owner, 'frozen');
      suspensions.keepCall(part, owner);
      const first = owner === item.owner ? item : part.first;
      // What fails while its partition is frozen already is tried again with the rest.
      if (isNew) this.#add({ scope: 'partition', owner, item: first, call: part, lane: undefined }, error);
    }
  }

  /** As {@link freezePartition}; the lane is held from now on. */
  freezeKey(call: HandlerCall, item: CallItem, error: unknown): void {
    const { lanes } = this.#parts;
    const { lane } = call;
    lanes.hold(lane);
    call.nextAttempt();
    lane.isFrozen = lane.isOrdered;
    this.#add({ scope: 'key', owner: item.owner, item, call, lane }, error);
    this.#countKeys();
  }

  /** A record was queued in a lane that is frozen. */
  noteQueued(owner: OwnedPartition, { sizeBytes }: ReceivedRecord): void {
    const { records, bytes } = owner.aside;
    this.#parts.intake.setAside(owner, { records: records + 1, bytes: bytes + sizeBytes });
  }

  /** @throws IllegalStateError when there is nothing frozen there */
  unfreeze({ topic, partition, key, skip = false }: UnfreezeTarget): void {
    const there = [...this.#frozen].filter(({ owner }) => owner.topic === topic && owner.partition === partition);
    const found = there.filter((one) => (key === undefined ? one.scope === 'partition' : isOfKey(one, key)));
    if (found.length === 0) throw new IllegalStateError(nothingFrozen(topic, partition, key, there));
    for (const one of found) this.#unfreeze(one, skip);
  }

  /** What left, or was lost, is frozen no more: whoever has it now gets the failed record first. */
  dropLeaving(): void {
    const { lanes, laneNow } = this.#parts;
    let hasChanged = false;
    for (const one of this.#frozen) {
      const { call, lane, owner } = one;
      if (lane === undefined) {
        if (owner.phase !== 'active') this.#frozen.delete(one);
        continue;
      }
      call.withdraw('leaving');
      if (!call.isEmpty) continue;
      this.#frozen.delete(one);
      lane.isFrozen = false;
      lanes.unpark(lane, undefined, laneNow());
      hasChanged = true;
    }
    if (hasChanged) this.#countKeys();
  }

  #unfreeze(one: Frozen, skip: boolean): void {
    const { lanes, suspensions, events, laneNow, skipped } = this.#parts;
    const { scope, owner, item, call, lane, key } = one;
    this.#frozen.delete(one);
    if (skip) {
      skipped(call, item);
      if (call.items === undefined) call.isDropped = true;
      else call.items = call.items.filter((other) => other !== item);
    }
    if (lane === undefined) {
      suspensions.release(owner, 'frozen');
    } else {
      lane.isFrozen = false;
      lanes.unpark(lane, call.isEmpty || suspensions.keep(call) ? undefined : call, laneNow());
      this.#countKeys();
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

  /** What waits in frozen lanes takes no room from others; counted anew when one was frozen or unfrozen. */
  #countKeys(): void {
    const { intake, ownerOf } = this.#parts;
    const aside = new Map<OwnedPartition, { records: number; bytes: number }>();
    for (const { owner } of this.#frozen) aside.set(owner, { records: 0, bytes: 0 });
    for (const { lane } of this.#frozen) {
      if (lane === undefined || !lane.isFrozen) continue;
      for (const record of lane.queue) {
        const owner = ownerOf(record);
        if (owner === undefined || owner.isSuspended) continue;
        const own = aside.get(owner) ?? { records: 0, bytes: 0 };
        aside.set(owner, { records: own.records + 1, bytes: own.bytes + record.sizeBytes });
      }
    }
    for (const [owner, own] of aside) if (!owner.isSuspended) intake.setAside(owner, own);
  }
}

function isOfKey({ scope, lane, item }: Frozen, key: Buffer | string | null): boolean {
  if (scope !== 'key' || lane === undefined) return false;
  const { name } = lane;
  if (isNamedByKey(lane)) {
    const own = item.received.key;
    if (key === null || own === null) return key === own;
    return own.equals(Buffer.from(key as Buffer));
  }
  return key !== null && name === key.toString();
}

function isNamedByKey(lane: Lane<HandlerCall>): boolean {
  return lane.parent.rule.by === 'key';
}

function laneName(lane: Lane<HandlerCall>, item: CallItem): string | null {
  return isNamedByKey(lane) ? (item.received.key?.toString() ?? null) : (lane.name ?? null);
}

function nothingFrozen(
  topic: string,
  partition: number,
  key: Buffer | string | null | undefined,
  there: readonly Frozen[],
): string {
  const what =
    key === undefined
      ? `${topic}/${partition} is`
      : `key ${key === null ? 'null' : `'${key.toString()}'`} of ${topic}/${partition} is`;
  const rest = there.map((one) =>
    one.scope === 'key' ? `key ${one.key === null ? 'null' : `'${one.key}'`}` : 'the partition',
  );
  return `${what} not frozen${rest.length === 0 ? '' : `, but ${rest.join(', ')} is`}: status() lists what is`;
}
