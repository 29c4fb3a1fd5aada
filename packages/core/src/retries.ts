import type { Clock, Timer } from './clock.ts';
import type { CallItem, HandlerCall } from './handler-call.ts';
import type { Lanes } from './lanes.ts';
import type { Turns } from './turns.ts';

/** What retries act on. */
export interface RetryParts {
  readonly clock: Clock;
  readonly lanes: Lanes<HandlerCall>;
  readonly turns: Turns;
  readonly laneNow: () => number;
  /** Takes a call whose partition is frozen or paused; false for one that may start. */
  readonly kept: (call: HandlerCall) => boolean;
  /** A record is kept for long, and no handler has it. */
  readonly detach: (item: CallItem) => void;
}

/** A call that waits for its next attempt. */
export interface WaitingRetry {
  readonly call: HandlerCall;
  readonly dueAt: number;
  readonly timer: Timer | undefined;
  /** Why the same attempt is made again; undefined where the next one is. */
  readonly undoneBy: Error | undefined;
}

/** Calls that wait for their next attempt. Their lanes are held by that. */
export class Retries {
  readonly #parts: RetryParts;
  readonly #waiting = new Set<WaitingRetry>();
  #hasStopped = false;

  constructor(parts: RetryParts) {
    this.#parts = parts;
  }

  *waiting(): Generator<WaitingRetry> {
    yield* this.#waiting;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Whether retries are no longer begun. */
  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  /** The lane is held from now on; the caller ends the call that has failed. */
  add(call: HandlerCall, afterMs: number): void {
    call.nextAttempt();
    this.#wait(call, afterMs, undefined);
  }

  /** The same attempt once more, for it was undone. */
  repeat(call: HandlerCall, afterMs: number, undoneBy: Error): void {
    call.begin();
    this.#wait(call, afterMs, undoneBy);
  }

  #wait(call: HandlerCall, afterMs: number, undoneBy: Error | undefined): void {
    const { lanes, clock, turns } = this.#parts;
    lanes.hold(call.lane);
    for (const item of call.items ?? [call]) {
      item.owner.leaveOpen(item.received.offset);
      this.#parts.detach(item);
    }
    const timer = this.#hasStopped
      ? undefined
      : clock.setTimeout(() => {
          turns.run(() => this.#due(waiting));
        }, afterMs);
    const waiting: WaitingRetry = { call, dueAt: clock.now() + afterMs, timer, undoneBy };
    this.#waiting.add(waiting);
  }

  /** Records of partitions that leave, or have left, wait for no further attempt. */
  dropLeaving(): void {
    for (const waiting of this.#waiting) {
      const { call, timer } = waiting;
      call.withdraw('leaving');
      if (!call.isEmpty) continue;
      timer?.clear();
      this.#waiting.delete(waiting);
      this.#parts.lanes.unpark(call.lane, undefined, this.#parts.laneNow());
    }
  }

  /** No further attempt is begun: what waits for one, now or later, is left. */
  stop(): void {
    this.#hasStopped = true;
    for (const { timer } of this.#waiting) timer?.clear();
  }

  #due(waiting: WaitingRetry): void {
    if (!this.#waiting.delete(waiting)) return;
    const { lanes, laneNow, kept } = this.#parts;
    const { call } = waiting;
    lanes.unpark(call.lane, kept(call) ? undefined : call, laneNow());
  }
}
