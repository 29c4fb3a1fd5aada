import type { BatchHandler, ConcurrencyStrategy, Handler, LaneRule, WorkerOptions } from '@kafka-worker/core';
import { stop } from '../../../failure/stop.ts';
import type { Mutation } from './mutation.ts';

type AnyHandler = (...args: never[]) => unknown;

/** What would go wrong if the worker did not heed what handlers do, or what the strategy says. */
export const handlerMutations: readonly Mutation[] = [
  {
    name: 'finishes a record when its handler starts',
    breaks: 'commit',
    tampering: {
      options: withHandlers((handler) => (...args) => {
        Promise.resolve(handler(...args)).catch(() => {});
      }),
    },
  },
  {
    name: 'takes a failure for a success',
    breaks: 'commit',
    tampering: {
      options: withHandlers((handler) => async (...args) => {
        await Promise.resolve(handler(...args)).catch(() => {});
      }),
    },
  },
  {
    name: 'handles two records of one lane at once',
    breaks: 'order',
    // Wide lanes have no keys that could be frozen.
    tampering: {
      options: (options) => ({
        ...withLanes((rule) => ({ ...rule, inside: widened(rule.inside) }))(options),
        onFailure: stop(),
      }),
    },
  },
  {
    name: 'runs more calls at once than the strategy allows',
    breaks: 'order',
    tampering: {
      options: withLanes((rule) => ({
        ...rule,
        active: rule.active + 1,
        ...(rule.calls === undefined ? {} : { calls: rule.calls + 1 }),
      })),
    },
  },
];

function withHandlers(wrap: (handler: AnyHandler) => AnyHandler): (options: WorkerOptions) => WorkerOptions {
  // A handler that throws at once shall not do so through the wrapping.
  const later =
    (handler: AnyHandler): AnyHandler =>
    async (...args) =>
      await handler(...args);
  return (options) =>
    options.handler === undefined
      ? {
          ...options,
          batchHandler: wrap(later(options.batchHandler)) as BatchHandler<Buffer | null, Buffer | null, object>,
        }
      : { ...options, handler: wrap(later(options.handler)) as Handler<Buffer | null, Buffer | null, object> };
}

function withLanes(change: (rule: LaneRule) => LaneRule): (options: WorkerOptions) => WorkerOptions {
  return (options) => {
    const concurrency = options.concurrency as ConcurrencyStrategy;
    return { ...options, concurrency: { ...concurrency, lanes: change(concurrency.lanes) } };
  };
}

function widened(inside: LaneRule['inside']): LaneRule['inside'] {
  return 'width' in inside ? { ...inside, width: inside.width + 1 } : { ...inside, inside: widened(inside.inside) };
}
