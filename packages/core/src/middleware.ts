import type { DeliverySession } from './delivery.ts';
import { IllegalStateError } from './errors.ts';
import type { HandlerCall } from './handler-call.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { PartFailedError } from './part-failed-error.ts';
import type { Plugin } from './plugin.ts';

/** How a call reaches the user's function. Returns what it returned, a promise for instance. */
export type Invoke = (call: HandlerCall) => unknown;

/** What runs around a call, with `next` as the only way on. */
type Around = (call: HandlerCall, next: () => Promise<void>) => unknown;

/** `innermost`, with the delivery and every plugin that wraps around it; `innermost` itself where none does. */
export function withMiddleware(
  innermost: Invoke,
  plugins: readonly Plugin[],
  session: DeliverySession,
  isBatch: boolean,
  isAtomic = false,
): Invoke {
  let invoke = innermost;
  if (session.around !== undefined) {
    const around = session.around.bind(session);
    const whole = isAtomic ? asAWhole(invoke) : invoke;
    invoke = wrapped('the delivery', 'around', whole, (call, run) =>
      around(
        (call.items ?? [call]).map((item) => item.received),
        (gained) => {
          if (gained !== undefined) Object.assign(contextOf(call), gained);
          return run();
        },
        () => ({ partitions: call.owners().map((owner) => owner.progressAfter(offsetsOf(call, owner))) }),
      ),
    );
  }
  for (const plugin of [...plugins].reverse()) {
    const who = `plugin ${plugin.name}`;
    if (isBatch && plugin.aroundBatch !== undefined) {
      const around = plugin.aroundBatch.bind(plugin);
      invoke = wrapped(who, 'aroundBatch', invoke, (call, next) =>
        around(
          (call.items ?? [call]).map((item) => item.record),
          contextOf(call),
          next,
        ),
      );
    } else if (!isBatch && plugin.aroundRecord !== undefined) {
      const around = plugin.aroundRecord.bind(plugin);
      invoke = wrapped(who, 'aroundRecord', invoke, (call, next) => around(call.record, contextOf(call), next));
    }
  }
  return invoke;
}

function contextOf(call: HandlerCall): NonNullable<HandlerCall['context']> {
  if (call.context === undefined) throw new IllegalStateError('a handler call without a context');
  return call.context;
}

/**
 * The call counts as failed when a record of it has, or when its time was up before it returned: what it did is undone. Once it has returned nothing is
 * sent, and nothing fails, any more.
 */
function asAWhole(inner: Invoke): Invoke {
  return async (call) => {
    try {
      await inner(call);
    } finally {
      call.hasReturned = true;
    }
    if (call.timeout !== undefined) throw call.timeout;
    if (call.failedItems !== undefined) throw new PartFailedError(call.failedItems.size);
  };
}

function offsetsOf(call: HandlerCall, owner: OwnedPartition): ReadonlySet<number> {
  return new Set((call.items ?? [call]).flatMap((item) => (item.owner === owner ? item.received.offset : [])));
}

/**
 * Holds whatever wraps around a call to its contract: `next` is called once, and awaited. Anything else fails the call, for a record that its
 * handler has not seen, or not finished, is not handled. Does not settle while the handler runs.
 */
function wrapped(who: string, what: string, inner: Invoke, around: Around): Invoke {
  return (call) => {
    const way = new WayOn(who, what, inner, call);
    let result: unknown;
    try {
      result = around(call, () => way.next());
    } catch (error) {
      result = rejectedAfter(undefined, error);
    }
    if (way.isGivenBack(result)) return result;
    return Promise.resolve(result).then(
      () => way.over(),
      (error: unknown) => way.failed(error),
    );
  };
}

/**
 * The only way on to what is inside: before it is called, running, settled, or over, when what wraps around it is done. Promises cost much where
 * contexts follow them, as with tracing: so `next` gives the handler's own, and what wraps around it and gives that back needs no further one.
 */
class WayOn {
  readonly #who: string;
  readonly #what: string;
  readonly #inner: Invoke;
  readonly #call: HandlerCall;
  #state: 'before' | 'running' | 'settled' | 'over' = 'before';
  #running: Promise<unknown> | undefined;
  /** What wraps around it has given its promise. */
  #hasReturned = false;
  /** Which was the handler's own: nobody waits for anything else. */
  #isGivenBack = false;
  #violation: IllegalStateError | undefined;

  constructor(who: string, what: string, inner: Invoke, call: HandlerCall) {
    this.#who = who;
    this.#what = what;
    this.#inner = inner;
    this.#call = call;
  }

  next(): Promise<void> {
    if (this.#state !== 'before') {
      const when = this.#state === 'over' ? 'too late' : 'twice';
      const error = new IllegalStateError(`${this.#who} called next() ${when} in ${this.#what}`);
      this.#violation ??= error;
      const refused = Promise.reject<void>(error);
      // Nobody has to look at it: the call fails for it, unless it is out of our hands.
      if (!this.#isGivenBack) refused.catch(() => {});
      return refused;
    }
    this.#state = 'running';
    const running = this.#run();
    this.#running = running;
    if (this.#hasReturned) this.#watch(running);
    return running as Promise<void>;
  }

  /** `result` is what it has given. Whether that is what `next` gave, and nothing is wrong: then it is the call's result as it is. */
  isGivenBack(result: unknown): boolean {
    this.#hasReturned = true;
    const running = this.#running;
    if (running === undefined) return false;
    if (running !== result) {
      this.#watch(running);
      return false;
    }
    this.#isGivenBack = this.#violation === undefined;
    this.#state = this.#isGivenBack ? 'over' : 'settled';
    return this.#isGivenBack;
  }

  /** Whoever does not await it is told when it is over; the handler's own failure needs nobody else then. */
  #watch(running: Promise<unknown>): void {
    running.then(
      () => this.#settled(),
      () => this.#settled(),
    );
  }

  #settled(): void {
    if (this.#state === 'running') this.#state = 'settled';
  }

  #run(): Promise<unknown> {
    try {
      return Promise.resolve(this.#inner(this.#call));
    } catch (error) {
      return rejectedAfter(undefined, error);
    }
  }

  /** What wraps around it has returned. */
  over(): Promise<void> | undefined {
    const running = this.#end();
    const violation = this.#violation;
    if (violation === undefined) return undefined;
    return rejectedAfter(running, violation);
  }

  /** What wraps around it has thrown. */
  failed(error: unknown): Promise<void> {
    return rejectedAfter(this.#end(), error);
  }

  /** What still runs, if anything does. */
  #end(): Promise<unknown> | undefined {
    const state = this.#state;
    this.#state = 'over';
    if (state === 'before')
      this.#violation ??= new IllegalStateError(`${this.#who} did not call next() in ${this.#what}`);
    if (state !== 'running') return undefined;
    const text = `${this.#who} did not await next() in ${this.#what}: it was done before the handler`;
    this.#violation ??= new IllegalStateError(text);
    return this.#running;
  }
}

/** Whatever was thrown. */
async function rejectedAfter(running: Promise<unknown> | undefined, error: unknown): Promise<void> {
  await running?.catch(() => {});
  throw error;
}
