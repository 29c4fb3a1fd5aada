import type { DeliverySession } from './delivery.ts';
import { IllegalStateError } from './errors.ts';
import type { HandlerCall } from './handler-call.ts';
import type { Plugin } from './plugin.ts';

/** How a call reaches the user's function. Returns what it returned, a promise for instance. */
export type Invoke = (call: HandlerCall) => unknown;

/** `innermost`, with the delivery and every plugin that wraps around it; `innermost` itself where none does. */
export function withMiddleware(
  innermost: Invoke,
  plugins: readonly Plugin[],
  session: DeliverySession,
  isBatch: boolean,
): Invoke {
  let invoke = innermost;
  const around = session.around?.bind(session);
  if (around !== undefined) {
    const inner = invoke;
    invoke = (call) =>
      around(
        (call.items ?? [call]).map((item) => item.received),
        async () => {
          await inner(call);
        },
      );
  }
  for (const plugin of [...plugins].reverse()) {
    const inner = invoke;
    if (isBatch && plugin.aroundBatch !== undefined) {
      const wrap = plugin.aroundBatch.bind(plugin);
      invoke = (call) =>
        wrap(
          (call.items ?? [call]).map((item) => item.record),
          contextOf(call),
          once(plugin, () => inner(call)),
        );
    } else if (!isBatch && plugin.aroundRecord !== undefined) {
      const wrap = plugin.aroundRecord.bind(plugin);
      invoke = (call) =>
        wrap(
          call.record,
          contextOf(call),
          once(plugin, () => inner(call)),
        );
    }
  }
  return invoke;
}

function contextOf(call: HandlerCall): NonNullable<HandlerCall['context']> {
  if (call.context === undefined) throw new IllegalStateError('a handler call without a context');
  return call.context;
}

/** A second `next()` would run the handler twice for one record. */
function once(plugin: Plugin, next: () => unknown): () => Promise<void> {
  let wasCalled = false;
  return async () => {
    if (wasCalled) throw new IllegalStateError(`plugin ${plugin.name} called next() twice`);
    wasCalled = true;
    await next();
  };
}
