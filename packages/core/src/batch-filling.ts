import { Fifo } from './fifo.ts';
import type { FillingBatch, Lane } from './lane.ts';

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
  #isWaiting: boolean;

  constructor(batching: Batching) {
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
    if (!this.#isWaiting) return;
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

  /** No batch waits any longer: waiting brings it no company. */
  *releaseAll(): Generator<Lane<Call>> {
    for (let batch = this.#filling.shift(); batch !== undefined; batch = this.#filling.shift()) {
      const { lane } = batch;
      if (lane === undefined) continue;
      lane.filling = undefined;
      yield lane;
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
