import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CallContext } from './call-context.ts';
import type { DeliverySession } from './delivery.ts';
import { IllegalStateError } from './errors.ts';
import { HandlerCall } from './handler-call.ts';
import { stderrLogger } from './logger.ts';
import { type Invoke, withMiddleware } from './middleware.ts';
import { OwnedPartition } from './owned-partition.ts';
import type { Plugin } from './plugin.ts';
import { noHeaders, OwnedRecord } from './record.ts';

const bare: DeliverySession = { commit: () => Promise.resolve(), close: () => Promise.resolve() };
const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function callWith(isBatch: boolean): HandlerCall {
  const record = new OwnedRecord('t', 0, 0, 0, null, null, noHeaders);
  const owner = new OwnedPartition(0, { topic: 't', partition: 0, offset: 0 }, undefined);
  const item = { received: record, owner, record };
  const call = new HandlerCall(undefined as never, record, owner, record, isBatch ? [item] : undefined);
  call.context = new CallContext(call, { send() {}, logFor: () => stderrLogger });
  return call;
}

/** A handler that tells when it ran, and ends when it is told to. */
function held() {
  const ends: ((error?: Error) => void)[] = [];
  let running = 0;
  const invoke: Invoke = () =>
    new Promise<void>((resolve, reject) => {
      running++;
      ends.push((error) => {
        running--;
        if (error === undefined) resolve();
        else reject(error);
      });
    });
  return { invoke, ends, running: () => running };
}

type Next = () => Promise<void>;

/** Each of the three that may wrap around a call. */
const wrappers: readonly (readonly [
  string,
  string,
  boolean,
  (around: (next: Next) => unknown) => [readonly Plugin[], DeliverySession],
])[] = [
  [
    ...(['aroundRecord', 'plugin p'] as const),
    false,
    (around) => [[{ name: 'p', aroundRecord: (_record, _context, next) => around(next) as Promise<void> }], bare],
  ],
  [
    ...(['aroundBatch', 'plugin p'] as const),
    true,
    (around) => [[{ name: 'p', aroundBatch: (_records, _context, next) => around(next) as Promise<void> }], bare],
  ],
  [
    ...(['around', 'the delivery'] as const),
    false,
    (around) => [[], { ...bare, around: (_records, run) => around(run) as Promise<void> }],
  ],
];

const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(async () => {
  await tick();
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

describe('withMiddleware', () => {
  it('is the handler itself where nothing wraps around it', () => {
    const innermost = (): void => {};
    expect(withMiddleware(innermost, [{ name: 'p' }], bare, false)).toBe(innermost);
    const forBatches: Plugin = { name: 'p', aroundBatch: (_records, _context, next) => next() };
    expect(withMiddleware(innermost, [forBatches], bare, false)).toBe(innermost);
  });

  it('runs the first plugin outermost, the delivery innermost', async () => {
    const order: string[] = [];
    const plugin = (name: string): Plugin => ({
      name,
      async aroundRecord(_record, _context, next) {
        order.push(name);
        await next();
        order.push(`/${name}`);
      },
    });
    const session: DeliverySession = {
      ...bare,
      async around(_records, run) {
        order.push('delivery');
        await run();
        order.push('/delivery');
      },
    };
    const plugins = [plugin('a'), plugin('b')];
    await withMiddleware(() => order.push('handler'), plugins, session, false)(callWith(false));
    expect(order).toEqual(['a', 'b', 'delivery', 'handler', '/delivery', '/b', '/a']);
  });

  describe.each(wrappers)('%s', (what, who, isBatch, wrap) => {
    const run = (innermost: Invoke, around: (next: Next) => unknown): Promise<unknown> =>
      Promise.resolve(withMiddleware(innermost, ...wrap(around), isBatch)(callWith(isBatch)));

    it('fails as the handler does, and may replace its error', async () => {
      const failing: Invoke = () => {
        throw new Error('handler');
      };
      await expect(run(failing, (next) => next())).rejects.toThrow('handler');
      await expect(run(failing, (next) => next().catch(() => Promise.reject(new Error('other'))))).rejects.toThrow(
        'other',
      );
      await run(failing, (next) => next().catch(() => {}));
    });

    it('fails the call when it returns without having called next', async () => {
      let calls = 0;
      const result = run(
        () => calls++,
        () => Promise.resolve(),
      );
      await expect(result).rejects.toThrow(new IllegalStateError(`${who} did not call next() in ${what}`));
      await expect(result).rejects.toThrow(IllegalStateError);
      expect(calls).toBe(0);
    });

    it('fails with its own error when it throws instead of calling next', async () => {
      const thrown = run(
        () => {},
        () => {
          throw new Error('own');
        },
      );
      await expect(thrown).rejects.toThrow('own');
    });

    it.each([
      ['at once, succeeds', undefined, 0],
      ['at once, fails', new Error('handler'), 0],
      ['later, succeeds', undefined, 1],
      ['later, fails', new Error('handler'), 1],
    ])(
      'fails the call when it does not await next, but not before the handler, which, called %s',
      async (_how, error, waits) => {
        const handler = held();
        let isOver = false;
        const result = run(handler.invoke, async (next) => {
          if (waits > 0) await Promise.resolve();
          void next();
        }).finally(() => {
          isOver = true;
        });
        result.catch(() => {});
        await tick();
        expect([isOver, handler.running()]).toEqual([false, 1]);
        handler.ends[0]?.(error);
        await expect(result).rejects.toThrow(`${who} did not await next() in ${what}`);
      },
    );

    it('fails with its own error when it gives up on the handler, but not before that has returned', async () => {
      const handler = held();
      let isOver = false;
      const result = run(handler.invoke, (next) =>
        Promise.race([next(), Promise.reject(new Error('too slow'))]),
      ).finally(() => {
        isOver = true;
      });
      result.catch(() => {});
      await tick();
      expect([isOver, handler.running()]).toEqual([false, 1]);
      handler.ends[0]?.();
      await expect(result).rejects.toThrow('too slow');
    });

    it('fails the call when it calls next twice, and the handler runs once', async () => {
      for (const around of [
        async (next: Next) => {
          await next();
          await next();
        },
        async (next: Next) => {
          void next();
          void next();
        },
        (next: Next) => Promise.allSettled([next(), next()]),
        (next: Next) => {
          const first = next();
          void next();
          return first;
        },
      ]) {
        let calls = 0;
        await expect(run(() => calls++, around)).rejects.toThrow(`${who} called next() twice in ${what}`);
        expect(calls).toBe(1);
      }
    });

    it('refuses a second call of next that comes after it has given the first one back', async () => {
      const handler = held();
      let again: Next = () => Promise.resolve();
      const result = run(handler.invoke, (next) => {
        again = next;
        return next();
      });
      await expect(again()).rejects.toThrow(`${who} called next() too late in ${what}`);
      expect(handler.running()).toBe(1);
      handler.ends[0]?.();
      await result;
    });

    it('does not run the handler when next is called after it has returned', async () => {
      let calls = 0;
      let late: Next = () => Promise.resolve();
      const result = run(
        () => calls++,
        async (next) => {
          late = next;
        },
      );
      await expect(result).rejects.toThrow('did not call next()');
      await expect(late()).rejects.toThrow(`${who} called next() too late in ${what}`);
      expect(calls).toBe(0);
    });
  });
});
