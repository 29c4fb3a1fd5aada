import type { Assignment } from './assignment.ts';
import type { InFlight } from './in-flight.ts';
import { type Aside, NOTHING_ASIDE, type OwnedPartition } from './owned-partition.ts';

/** What shares are of. */
export interface SharesParts {
  readonly limits: { readonly inFlightRecords: number; readonly inFlightBytes: number };
  readonly inFlight: InFlight;
  readonly assignment: Assignment;
}

/** Each partition's share of the limits, and what is not counted of those that have more: they are held back for it, so that it can only become less. */
export class Shares {
  readonly #parts: SharesParts;
  /** Partitions that are held back for having more than their share, and what of it is not counted. */
  readonly #overdrawn = new Map<OwnedPartition, { readonly records: number; readonly bytes: number }>();
  /** What all partitions keep for later: it is not counted. */
  #aside: Aside = NOTHING_ASIDE;

  constructor(parts: SharesParts) {
    this.#parts = parts;
  }

  /** Nobody gets more than its share while so much is kept for later that there would be no end to it. */
  get areKept(): boolean {
    const { limits } = this.#parts;
    const { records, bytes } = this.#aside;
    return this.#overdrawn.size > 0 || records > limits.inFlightRecords / 2 || bytes > limits.inFlightBytes / 2;
  }

  /** Whether a partition has more than this part of its share. */
  isOverdrawn(owner: OwnedPartition, part: number): boolean {
    const { records, bytes } = this.#share();
    const own = counted(owner);
    return own.records > records * part || own.bytes > bytes * part;
  }

  /** Whether something of it is not counted. */
  isForgiven(owner: OwnedPartition): boolean {
    return this.#overdrawn.has(owner);
  }

  /** What it has beyond its share now is not counted. */
  forgive(owner: OwnedPartition): void {
    this.unforgive(owner);
    const share = this.#share();
    const own = counted(owner);
    const records = Math.max(0, Math.floor(own.records - share.records));
    const bytes = Math.max(0, Math.floor(own.bytes - share.bytes));
    this.#overdrawn.set(owner, { records, bytes });
    this.#parts.inFlight.forgive(records, bytes);
  }

  unforgive(owner: OwnedPartition): void {
    const forgiven = this.#overdrawn.get(owner);
    if (forgiven === undefined) return;
    this.#overdrawn.delete(owner);
    this.#parts.inFlight.forgive(-forgiven.records, -forgiven.bytes);
  }

  /** So much of what a partition has in flight is kept for later, and not counted. */
  setAside(owner: OwnedPartition, why: 'suspended' | 'keys', aside: Aside): void {
    const before = owner.aside;
    owner.setAside(why, aside);
    const records = owner.aside.records - before.records;
    const bytes = owner.aside.bytes - before.bytes;
    this.#aside = { records: this.#aside.records + records, bytes: this.#aside.bytes + bytes };
    this.#parts.inFlight.forgive(records, bytes);
  }

  #share(): { readonly records: number; readonly bytes: number } {
    const { limits, assignment } = this.#parts;
    const partitions = Math.max(1, assignment.size);
    return { records: limits.inFlightRecords / partitions, bytes: limits.inFlightBytes / partitions };
  }
}

/** What a partition has in flight of its own, without what it keeps for later. */
function counted({ ledger, memory, aside }: OwnedPartition): {
  readonly records: number;
  readonly bytes: number;
} {
  return { records: ledger.openCount - aside.records, bytes: memory.bytes - aside.bytes };
}
