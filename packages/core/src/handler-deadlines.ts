import type { Clock, Timer } from './clock.ts';
import type { HandlerCall } from './handler-call.ts';
import { HandlerTimeoutError } from './handler-errors.ts';
import type { Turns } from './turns.ts';

/** What deadlines act on. */
export interface HandlerDeadlineParts {
  readonly clock: Clock;
  readonly turns: Turns;
  /** How long a handler may run; undefined for as long as it likes. */
  readonly handlerTimeoutMs: number | undefined;
  /** How long it may go on after its signal was aborted. */
  readonly stuckAfterMs: number;
  /** A handler ignores its aborted signal. */
  readonly stuck: (call: HandlerCall, waitedMs: number) => void;
}

/**
 * When handlers that have not returned are asked to, and when they are given up. One timer for all: every call has the same time, so those that
 * started first are due first.
 */
export class HandlerDeadlines {
  readonly #parts: HandlerDeadlineParts;
  /** In the order in which they started. */
  readonly #running = new Set<HandlerCall>();
  /** In the order in which their time was up. */
  readonly #aborted = new Map<HandlerCall, number>();
  /** Those that were given up, and have not returned still. */
  readonly #stuck = new Map<HandlerCall, number>();
  #isStopped = false;
  #timer: { readonly timer: Timer; readonly dueAt: number } | undefined;

  constructor(parts: HandlerDeadlineParts) {
    this.#parts = parts;
  }

  /** Whether a call's start has to be known exactly. */
  get isOn(): boolean {
    return this.#parts.handlerTimeoutMs !== undefined;
  }

  started(call: HandlerCall): void {
    if (!this.isOn) return;
    this.#running.add(call);
    // With others before it, the timer is set for the first of them at the latest.
    if (this.#running.size === 1) this.#wait();
  }

  /** Whether handlers were asked to return and have not. */
  get hasOverdue(): boolean {
    return this.#aborted.size > 0;
  }

  /** A handler was asked to return for another reason than its time: it has no longer for that than others. */
  aborted(call: HandlerCall): void {
    if (this.#aborted.has(call) || this.#stuck.has(call)) return;
    this.#running.delete(call);
    this.#aborted.set(call, this.#parts.clock.now());
    this.#wait();
  }

  /** The handler has returned, and what it did in time is told. */
  returned(call: HandlerCall): void {
    const { handlerTimeoutMs, clock } = this.#parts;
    this.#running.delete(call);
    this.gone(call);
    if (handlerTimeoutMs === undefined) return;
    // One that never waited could not be interrupted, but was too late all the same.
    if (call.timeout === undefined && clock.now() - call.startedAt > handlerTimeoutMs) this.#timeOut(call);
  }

  /** A handler that was given up has returned after all. */
  gone(call: HandlerCall): void {
    this.#aborted.delete(call);
    this.#stuck.delete(call);
  }

  /** Handlers that were asked to return and have not, and since when. */
  *overdue(): Generator<readonly [call: HandlerCall, since: number]> {
    yield* this.#stuck;
    yield* this.#aborted;
  }

  /** Those that were given up, and since when they had been asked. */
  stuck(): Iterable<readonly [call: HandlerCall, since: number]> {
    return this.#stuck;
  }

  isStuck(call: HandlerCall): boolean {
    return this.#stuck.has(call);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.timer.clear();
    this.#timer = undefined;
  }

  #wait(): void {
    const dueAt = this.#nextDueAt();
    if (dueAt === undefined || this.#isStopped) return;
    if (this.#timer !== undefined) {
      if (this.#timer.dueAt <= dueAt) return;
      this.#timer.timer.clear();
    }
    const { clock, turns } = this.#parts;
    const due = (): void => {
      this.#timer = undefined;
      turns.run(() => this.#due());
    };
    this.#timer = { timer: clock.setTimeout(due, Math.max(0, dueAt - clock.now())), dueAt };
  }

  #nextDueAt(): number | undefined {
    const { handlerTimeoutMs = 0, stuckAfterMs } = this.#parts;
    const [first] = this.#running;
    const timeoutAt = first === undefined ? undefined : first.startedAt + handlerTimeoutMs;
    const [overdue] = this.#aborted.values();
    const stuckAt = overdue === undefined ? undefined : overdue + stuckAfterMs;
    return timeoutAt === undefined || stuckAt === undefined ? (timeoutAt ?? stuckAt) : Math.min(timeoutAt, stuckAt);
  }

  #due(): void {
    const { clock, handlerTimeoutMs = 0, stuckAfterMs, stuck } = this.#parts;
    const now = clock.now();
    for (const call of this.#running) {
      if (call.startedAt + handlerTimeoutMs > now) break;
      this.#running.delete(call);
      this.#timeOut(call);
      this.#aborted.set(call, now);
    }
    for (const [call, since] of this.#aborted) {
      if (since + stuckAfterMs > now) break;
      this.#aborted.delete(call);
      this.#stuck.set(call, since);
      stuck(call, now - since);
    }
    this.#wait();
  }

  #timeOut(call: HandlerCall): void {
    call.timeOut(new HandlerTimeoutError(call.first.received, this.#parts.handlerTimeoutMs ?? 0));
  }
}
