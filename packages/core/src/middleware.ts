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
  return async (call) => {
    let running: Promise<void> | undefined;
    let state = 'before' as 'before' | 'running' | 'settled' | 'over';
    let violation: IllegalStateError | undefined;
    const next = (): Promise<void> => {
      if (state !== 'before') {
        const when = state === 'over' ? 'too late' : 'twice';
        const error = new IllegalStateError(`${who} called next() ${when} in ${what}`);
        violation ??= error;
        return unwatched(Promise.reject(error));
      }
      state = 'running';
      // Whoever does not await it is told below; the handler's own failure needs nobody else then.
      running = unwatched(
        (async () => {
          try {
            await inner(call);
          } finally {
            if (state === 'running') state = 'settled';
          }
        })(),
      );
      return running;
    };
    try {
      await around(call, next);
    } finally {
      const wasAwaited = state !== 'running';
      const wasCalled = state !== 'before';
      state = 'over';
      if (!wasCalled) violation ??= new IllegalStateError(`${who} did not call next() in ${what}`);
      if (!wasAwaited) {
        violation ??= new IllegalStateError(`${who} did not await next() in ${what}: it was done before the handler`);
        await running?.catch(() => {});
      }
    }
    if (violation !== undefined) throw violation;
  };
}

/** A promise whose rejection is nobody's fault who does not look at it. */
function unwatched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
