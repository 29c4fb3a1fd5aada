import { Fifo } from './fifo.ts';
import type { FillingBatch, Lane } from './lane.ts';
import type { ReceivedRecord } from './record.ts';

/** How a batch handler's calls fill; without it every call takes one record. */
export interface Batching {
  readonly maxRecords: number;
  /** @defaultValue no limit */
  readonly maxBytes?: number;
  readonly maxWaitMs: number;
}

/** Batches of one record that wait for nothing: what a handler of single records gets. */
export const singleRecords: Batching = { maxRecords: 1, maxWaitMs: 0 };

/** Lanes whose next batch is not full and waits for more records, in the order in which their time is up. Pure. */
export class BatchFilling<Call> {
  readonly maxRecords: number;
  readonly maxBytes: number;
  readonly #maxWaitMs: number;
  readonly #filling = new Fifo<FillingBatch<Call>>();
  readonly #isUrgent: (record: ReceivedRecord) => boolean;
  #isWaiting: boolean;

  /** @param isUrgent whether a batch that begins with the record starts as it is */
  constructor(batching: Batching, isUrgent: (record: ReceivedRecord) => boolean) {
    this.#isUrgent = isUrgent;
    this.maxRecords = batching.maxRecords;
    this.maxBytes = batching.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#maxWaitMs = batching.maxWaitMs;
    this.#isWaiting = batching.maxWaitMs > 0;
  }

  /** Whether batches wait to fill at all. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** When the first batch that waits is due, in the clock's milliseconds. */
  get nextDueAt(): number | undefined {
    this.#forgetTaken();
    return this.#filling.peek()?.dueAt;
  }

  /** Whether the lane's next batch may start. */
  isFilled(lane: Lane<Call>, now: number): boolean {
    const queued = lane.queue.length;
    if (queued === 0) return false;
    if (!this.#isWaiting || this.#isFull(lane)) return true;
    return lane.filling === undefined || now >= lane.filling.dueAt;
  }

  /** The head of the lane's queue begins to wait for company. */
  begin(lane: Lane<Call>, now: number): void {
    const head = lane.queue.peek();
    if (!this.#isWaiting || lane.isUnlaned || (head !== undefined && this.#isUrgent(head))) return;
    lane.filling = { lane, dueAt: now + this.#maxWaitMs };
    this.#forgetTaken();
    this.#filling.push(lane.filling);
  }

  /** The lane's batch is taken, or there is nothing left to take. */
  end(lane: Lane<Call>): void {
    if (lane.filling !== undefined) lane.filling.lane = undefined;
    lane.filling = undefined;
  }

  /** Lanes whose batches have waited long enough. */
  *due(now: number): Generator<Lane<Call>> {
    for (let first = this.#filling.peek(); first !== undefined && first.dueAt <= now; first = this.#filling.peek()) {
      this.#filling.shift();
      if (first.lane === undefined) continue;
      first.lane.filling = undefined;
      yield first.lane;
    }
  }

  /** The batches of these lanes wait no longer: waiting brings them no company. */
  *release(isMeant: (lane: Lane<Call>) => boolean): Generator<Lane<Call>> {
    for (let left = this.#filling.length; left > 0; left--) {
      const batch = this.#filling.shift();
      if (batch?.lane === undefined) continue;
      const { lane } = batch;
      if (isMeant(lane)) {
        lane.filling = undefined;
        yield lane;
      } else {
        this.#filling.push(batch);
      }
    }
  }

  /** Nothing more comes: batches start as they are, from now on. */
  stopWaiting(): void {
    this.#isWaiting = false;
  }

  #isFull({ queue, queuedBytes }: Lane<Call>): boolean {
    return queue.length >= this.maxRecords || queuedBytes >= this.maxBytes;
  }

  /** Batches go in the order in which they are due, so those that are done with are looked for at the head only. */
  #forgetTaken(): void {
    for (
      let first = this.#filling.peek();
      first !== undefined && first.lane === undefined;
      first = this.#filling.peek()
    ) {
      this.#filling.shift();
    }
  }
}
