import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Intake } from './intake.ts';
import type { Lanes } from './lanes.ts';
import { NOTHING_ASIDE, type OwnedPartition, type SuspendReason } from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';

/** What suspensions act on. */
export interface SuspensionParts {
  readonly lanes: Lanes<HandlerCall>;
  readonly intake: Intake;
  readonly laneNow: () => number;
  readonly ownerOf: (record: ReceivedRecord) => OwnedPartition | undefined;
  /** A record goes into its lane. */
  readonly queue: (record: ReceivedRecord, owner: OwnedPartition, now: number) => void;
  /** Records were taken out of the lanes. */
  readonly extracted: () => void;
}

interface Kept {
  readonly records: ReceivedRecord[];
  readonly calls: HandlerCall[];
  recordsInCalls: number;
  bytes: number;
}

/**
 * Partitions of which nothing is started, because they are frozen or paused: what is queued of them leaves the lanes, is kept, and comes back in its
 * order. Nothing more of them is polled meanwhile.
 */
export class Suspensions {
  readonly #parts: SuspensionParts;
  readonly #kept = new Map<OwnedPartition, Kept>();
  /** Whether there are any. Asked for every call. */
  hasAny = false;

  constructor(parts: SuspensionParts) {
    this.#parts = parts;
  }

  /** What runs may finish. */
  suspend(owner: OwnedPartition, reason: SuspendReason): void {
    const { intake, lanes, ownerOf, extracted } = this.#parts;
    const wasSuspended = owner.isSuspended;
    intake.suspend(owner, reason);
    if (wasSuspended) return;
    this.#kept.set(owner, { records: [], calls: [], recordsInCalls: 0, bytes: 0 });
    this.hasAny = true;
    for (const record of lanes.extract((one) => ownerOf(one) === owner)) this.keepRecord(record, owner);
    for (const call of lanes.extractResumed((one) => (one.items ?? [one]).some((item) => item.owner === owner))) {
      if (this.keep(call)) continue;
      // Of a batch over several partitions, the others go on.
      this.#resume(call, this.#parts.laneNow());
    }
    extracted();
  }

  /** True when the partition goes on. */
  release(owner: OwnedPartition, reason: SuspendReason): boolean {
    const { intake, laneNow, queue } = this.#parts;
    if (!owner.heldBackFor.has(reason)) return false;
    intake.unsuspend(owner, reason);
    if (owner.isSuspended) return false;
    const kept = this.#kept.get(owner);
    this.forget(owner);
    if (kept === undefined) return true;
    const now = laneNow();
    // Calls first: whatever is behind them in their lanes must not overtake them.
    for (const call of kept.calls.sort((a, b) => a.first.received.offset - b.first.received.offset))
      this.#resume(call, now);
    for (const record of kept.records.sort((a, b) => a.offset - b.offset)) queue(record, owner, now);
    return true;
  }

  /** A record that was polled of a suspended partition. */
  keepRecord(record: ReceivedRecord, owner: OwnedPartition): void {
    const kept = this.#kept.get(owner);
    if (kept === undefined) return;
    this.#parts.intake.detach(owner, record);
    kept.records.push(record);
    kept.bytes += record.sizeBytes;
    owner.leaveOpen(record.offset);
    this.#count(owner, kept);
  }

  /** Takes what a call that may start has of suspended partitions. True when nothing is left of the call. */
  keep(call: HandlerCall): boolean {
    if (this.#kept.size === 0) return false;
    if (call.items === undefined) {
      if (!this.#kept.has(call.owner)) return false;
      this.keepCall(call, call.owner);
      return true;
    }
    for (const owner of this.#kept.keys()) {
      const items = call.items.filter((item) => item.owner === owner);
      if (items.length > 0) this.keepCall(call.split(items), owner);
    }
    return call.isEmpty;
  }

  /** Takes a call of one suspended partition. */
  keepCall(call: HandlerCall, owner: OwnedPartition): void {
    const kept = this.#kept.get(owner);
    if (kept === undefined) return;
    kept.calls.push(call);
    this.#noteInCall(owner, kept, call.items ?? [call], 1);
  }

  /** A record of a call that is kept is finished: the user passes it over. */
  passOver(call: HandlerCall, item: CallItem): void {
    const kept = this.#kept.get(item.owner);
    if (kept?.calls.includes(call) !== true) return;
    this.#noteInCall(item.owner, kept, [item], -1);
    if (call.isEmpty) kept.calls.splice(kept.calls.indexOf(call), 1);
  }

  /** A partition is ours no longer. */
  forget(owner: OwnedPartition): void {
    const wasKept = this.#kept.delete(owner);
    this.hasAny = this.#kept.size > 0;
    if (wasKept) this.#parts.intake.setAside(owner, 'suspended', NOTHING_ASIDE);
  }

  /** Forgets all that has left. */
  dropLeaving(): void {
    for (const owner of this.#kept.keys()) if (owner.phase !== 'active') this.forget(owner);
  }

  #resume(call: HandlerCall, now: number): void {
    const { lanes } = this.#parts;
    const { received, owner } = call.first;
    call.lane = lanes.resume(call, received, owner.id, now);
    // What the lane function may have thrown once more is in the call already.
    lanes.takeLaneError(received);
  }

  #noteInCall(owner: OwnedPartition, kept: Kept, items: readonly CallItem[], sign: 1 | -1): void {
    kept.recordsInCalls += sign * items.length;
    for (const { received } of items) {
      if (sign > 0) this.#parts.intake.detach(owner, received);
      kept.bytes += sign * received.sizeBytes;
      owner.leaveOpen(received.offset);
    }
    this.#count(owner, kept);
  }

  #count(owner: OwnedPartition, { records, recordsInCalls, bytes }: Kept): void {
    this.#parts.intake.setAside(owner, 'suspended', { records: records.length + recordsInCalls, bytes });
  }
}
