import { Fifo } from './fifo.ts';
import type { Place } from './lane-children.ts';
import type { LaneGroup } from './lane-group.ts';
import type { ReceivedRecord } from './record.ts';

/** In which of its parent's two queues of ready nodes a node waits. */
export type Listing = 'none' | 'idle' | 'active';

/** A batch that is not full: it starts at `dueAt` as it is. Without a lane it has been taken, or has become full. */
export interface FillingBatch<Call> {
  lane: Lane<Call> | undefined;
  readonly dueAt: number;
}

/** What a lane is like. */
export interface LaneTraits {
  readonly width: number;
  /** A call that waits for its retry keeps the later ones. */
  readonly isOrdered: boolean;
  /** It has no order at all to keep, so each of its calls counts as an active lane. */
  readonly countsCalls: boolean;
  /** The key (as Latin-1, null for none) or the name that its records share, if that is what makes it a lane. */
  readonly name: string | null | undefined;
}

/**
 * A FIFO queue of records, and how many handler calls may run from it at once (its width).
 *
 * A call that waits for a retry is *parked*: it gives its slot back, and in an ordered lane blocks the lane, so that no later record overtakes it.
 * When it is due it comes back through `resumed`, ahead of the queue.
 */
export class Lane<Call> implements LaneTraits {
  readonly isLane = true as const;
  readonly parent: LaneGroup<Call>;
  /** Among the children of its parent. */
  readonly place: Place;
  readonly width: number;
  readonly isOrdered: boolean;
  readonly countsCalls: boolean;
  readonly name: string | null | undefined;
  readonly queue: Fifo<ReceivedRecord> = new Fifo<ReceivedRecord>();
  readonly resumed: Call[] = [];
  /** Kept up to date only where batches are bounded in bytes. */
  queuedBytes = 0;
  running = 0;
  parked = 0;
  isActive = false;
  /** What is queued here is kept until somebody unfreezes the key. */
  isFrozen = false;
  listing: Listing = 'none';
  /** The batch at the head of the queue, as long as it waits to fill. */
  filling: FillingBatch<Call> | undefined;

  constructor(parent: LaneGroup<Call>, place: Place, traits: LaneTraits) {
    this.parent = parent;
    this.place = place;
    this.width = traits.width;
    this.isOrdered = traits.isOrdered;
    this.countsCalls = traits.countsCalls;
    this.name = traits.name;
  }

  /** No lane was found for its records: each fails by itself, and waits for no company. */
  get isUnlaned(): boolean {
    return this.countsCalls && this.name === undefined;
  }

  isBlocked(): boolean {
    return this.parked > 0 && this.isOrdered;
  }

  isEmpty(): boolean {
    return this.queue.length === 0 && this.resumed.length === 0 && this.running === 0 && this.parked === 0;
  }
}
