import { CallContext, type ContextServices } from './call-context.ts';
import type { Clock, Timer } from './clock.ts';
import type { DeliverySession } from './delivery.ts';
import type { HandlerCall } from './handler-call.ts';
import type { HandlerDeadlines } from './handler-deadlines.ts';
import { HandlerSlots } from './handler-slots.ts';
import type { Lanes } from './lanes.ts';
import { type Invoke, withMiddleware } from './middleware.ts';
import { NextCalls } from './next-calls.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { ReceivedRecord } from './record.ts';
import type { RecordViews } from './record-views.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';
import type { Suspensions } from './suspensions.ts';
import { TimeSlice } from './time-slice.ts';
import type { Turns } from './turns.ts';

/** What the dispatcher is given to work with. */
export interface DispatcherParts {
  readonly options: ResolvedWorkerOptions;
  readonly session: DeliverySession;
  readonly lanes: Lanes<HandlerCall>;
  readonly turns: Turns;
  /** The time as the lanes want it. */
  readonly laneNow: () => number;
  readonly context: ContextServices;
  readonly views: RecordViews;
  readonly ownerOf: (record: ReceivedRecord) => OwnedPartition | undefined;
  /** The handler has returned and everything it sent is acknowledged. */
  readonly returned: (call: HandlerCall) => void;
  /** When the last poll came, at most about a second ago: a time that costs nothing. */
  readonly polledAt: () => number;
  /** Whether somebody wants to know exactly how long calls took. */
  readonly isTimed: () => boolean;
  readonly deadlines: HandlerDeadlines;
  readonly suspensions: Suspensions;
}

/** Starts handler calls as the lanes allow, and hears when they return. */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #clock: Clock;
  readonly #invoke: Invoke;
  readonly #slice: TimeSlice;
  readonly #hasDeadlines: boolean;
  readonly #isAtomic: boolean;
  readonly #next: NextCalls;
  readonly #slots: HandlerSlots;
  /** Calls whose handler has returned and that wait for what it sent. */
  readonly #sending = new Set<HandlerCall>();
  #isPaused = false;
  /** The last dispatch found no further call to start. */
  #isExhausted = true;
  #wakeTimer: { readonly timer: Timer; readonly dueAt: number } | undefined;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#clock = parts.options.clock;
    const { handler, batchHandler, plugins } = parts.options;
    const innermost: Invoke =
      handler === undefined
        ? (call) =>
            batchHandler?.(
              (call.items ?? []).map((item) => item.record),
              call.context as CallContext,
            )
        : (call) => handler(call.record, call.context as CallContext);
    this.#isAtomic = parts.options.delivery.isAtomic === true;
    this.#invoke = withMiddleware(innermost, plugins, parts.session, handler === undefined, this.#isAtomic);
    this.#hasDeadlines = parts.deadlines.isOn;
    const { lanes, views, laneNow, ownerOf } = parts;
    this.#next = new NextCalls({ lanes, views, laneNow, ownerOf, isBatch: handler === undefined });
    this.#slots = new HandlerSlots({
      turns: parts.turns,
      returned: (call) => this.#returned(call),
      gone: (abandoned) => parts.deadlines.gone(abandoned),
    });
    this.#slice = new TimeSlice(() => parts.turns.run(nothing));
  }

  /** No call starts from now on; those that run go on. */
  pause(): void {
    this.#isPaused = true;
    this.#wakeTimer?.timer.clear();
  }

  /** Calls whose handler runs. */
  handlers(): Generator<HandlerCall> {
    return this.#slots.calls();
  }

  /** Calls whose handler runs, or whose messages are under way. */
  *running(): Generator<HandlerCall> {
    yield* this.handlers();
    yield* this.#sending;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Whether everything that could start has, as far as the lanes know; not while a run of short handlers gives way to others. */
  get isExhausted(): boolean {
    return this.#isExhausted;
  }

  /** Whether nothing runs that may still return in time, and nothing could be started. */
  get isQuiet(): boolean {
    const { lanes, deadlines } = this.#parts;
    if (!this.#isPaused && !(this.#isExhausted && lanes.nextDueAt === undefined)) return false;
    if (lanes.runningCount === 0) return true;
    let stuckCount = 0;
    for (const call of this.handlers()) if (deadlines.isStuck(call)) stuckCount++;
    return lanes.runningCount === stuckCount;
  }

  /** Starts every call that may start now. */
  dispatch(): void {
    const { lanes, laneNow, suspensions } = this.#parts;
    this.#isExhausted = false;
    while (!this.#isPaused && !this.#slice.isUsedUp()) {
      const lane = lanes.start(laneNow());
      if (lane === undefined) {
        this.#isExhausted = true;
        if (lanes.needsTime) this.#wakeWhenDue();
        return;
      }
      const call = this.#next.of(lane);
      if (call === undefined || call.isEmpty || (suspensions.hasAny && suspensions.keep(call)))
        lanes.end(lane, laneNow());
      else this.#start(call);
    }
  }

  /** What only waits for the time (a batch to fill, a rate) starts when that has come, if nothing else happens before. */
  #wakeWhenDue(): void {
    const dueAt = this.#parts.lanes.nextDueAt;
    if (dueAt === undefined) return;
    if (this.#wakeTimer !== undefined) {
      if (this.#wakeTimer.dueAt <= dueAt) return;
      this.#wakeTimer.timer.clear();
    }
    const wake = (): void => {
      this.#wakeTimer = undefined;
      this.#parts.turns.run(nothing);
    };
    this.#wakeTimer = { timer: this.#clock.setTimeout(wake, Math.max(0, dueAt - this.#clock.now())), dueAt };
  }

  #start(call: HandlerCall): void {
    if (call.items === undefined) call.owner.callStarted();
    else for (const owner of call.owners()) owner.callStarted();
    const isTimed = this.#hasDeadlines || this.#parts.isTimed();
    if (isTimed) call.startedAt = this.#clock.now();
    const context = new CallContext(call, this.#parts.context);
    call.context = context;
    let result: unknown;
    try {
      if (call.laneError !== undefined) throw call.laneError;
      if (this.#parts.session.contextFor !== undefined)
        Object.assign(context, this.#parts.session.contextFor(call.received));
      result = this.#invoke(call);
      if (!isThenable(result)) {
        this.#returned(call);
        return;
      }
    } catch (error) {
      call.failure = { error };
      this.#returned(call);
      return;
    }
    // Somebody may ask how long it has been running; to the second is enough for that.
    if (!isTimed) call.startedAt = this.#parts.polledAt();
    if (this.#hasDeadlines) this.#parts.deadlines.started(call);
    this.#slots.wait(call, result);
  }

  /** The handler has returned; what it sent may be under way still. */
  #returned(call: HandlerCall): void {
    call.context = undefined;
    if (this.#hasDeadlines || this.#parts.deadlines.hasOverdue) this.#parts.deadlines.returned(call);
    if (call.pendingSends === 0) {
      this.#finish(call);
      return;
    }
    if (call.startedAt === 0) call.startedAt = this.#parts.polledAt();
    this.#sending.add(call);
  }

  /**
   * Gives up on a handler that does not return: its slot is free, its attempt has failed. What it still does is done beside its successor, and its
   * late result is dropped.
   */
  release(call: HandlerCall): void {
    if (!this.#slots.abandon(call)) return;
    call.context = undefined;
    // Whoever is still in the old call must not reach what the next attempt has.
    const next = call.split(call.items ?? [call]);
    next.timeout = call.timeout;
    next.failure = { error: call.abortReason };
    next.isTakenAway = call.isTakenAway;
    this.#finish(next);
  }

  /** Everything that a call sent is acknowledged, or has failed. */
  acknowledged(call: HandlerCall): void {
    if (this.#sending.delete(call)) this.#finish(call);
  }

  #finish(call: HandlerCall): void {
    // What is done as a whole has failed already if its time was up in time; what is done is done.
    if (call.timeout !== undefined && (!this.#isAtomic || call.failure !== undefined)) {
      call.failure = { error: call.timeout };
      call.failedItems = undefined;
    }
    if (call.items === undefined) call.owner.callEnded();
    else for (const owner of call.owners()) owner.callEnded();
    this.#parts.returned(call);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

function nothing(): void {}
