import { Fifo } from './fifo.ts';
import type { LaneGroup } from './lanes.ts';
import type { ReceivedRecord } from './record.ts';

/** In which of its parent's two queues of ready nodes a node waits. */
export type Listing = 'none' | 'idle' | 'active';

/** A batch that is not full: it starts at `dueAt` as it is. Without a lane it has been taken, or has become full. */
export interface FillingBatch<Call> {
  lane: Lane<Call> | undefined;
  readonly dueAt: number;
}

/**
 * A FIFO queue of records, and how many handler calls may run from it at once (its width). Width 1 keeps order.
 *
 * A call that waits for a retry is *parked*: it gives its slot back, and in a lane of width 1 blocks the lane, so that no later record overtakes it.
 * When it is due it comes back through `resumed`, ahead of the queue.
 */
export class Lane<Call> {
  readonly isLane = true as const;
  readonly parent: LaneGroup<Call>;
  readonly key: unknown;
  readonly width: number;
  readonly queue: Fifo<ReceivedRecord> = new Fifo<ReceivedRecord>();
  readonly resumed: Call[] = [];
  running = 0;
  parked = 0;
  listing: Listing = 'none';
  /** The batch at the head of the queue, as long as it waits to fill. */
  filling: FillingBatch<Call> | undefined;

  constructor(parent: LaneGroup<Call>, key: unknown, width: number) {
    this.parent = parent;
    this.key = key;
    this.width = width;
  }

  isBlocked(): boolean {
    return this.parked > 0 && this.width === 1;
  }

  isEmpty(): boolean {
    return this.queue.length === 0 && this.resumed.length === 0 && this.running === 0 && this.parked === 0;
  }
}
