import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from './errors.ts';
import { EventListeners } from './events.ts';

const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);
const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(async () => {
  await tick();
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

function listeners() {
  const logged: unknown[] = [];
  const events = new EventListeners({
    ...{ debug() {}, info() {}, warn() {} },
    error: (message, fields) => void logged.push([message, fields]),
  });
  return { events, logged };
}

describe('EventListeners', () => {
  it('calls every listener in order, until it is taken off', () => {
    const { events } = listeners();
    const seen: string[] = [];
    const off = events.on('polled', ({ records }) => void seen.push(`a${records}`));
    events.on('polled', ({ records }) => void seen.push(`b${records}`));
    events.emit('polled', { records: 1, bytes: 10 });
    off();
    off();
    events.emit('polled', { records: 2, bytes: 20 });
    expect(seen).toEqual(['a1', 'b1', 'b2']);
  });

  it('knows whether anybody listens', () => {
    const { events } = listeners();
    expect([events.has('settled'), events.listensToSettled]).toEqual([false, false]);
    const off = events.on('settled', () => {});
    expect([events.has('settled'), events.listensToSettled]).toEqual([true, true]);
    off();
    expect([events.has('settled'), events.listensToSettled]).toEqual([false, false]);
  });

  it.each<readonly [string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['is async and rejects', () => Promise.reject(new Error('no'))],
    ['rejects with what is no error', () => Promise.reject('no')],
    [
      'returns a thenable that rejects',
      () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(new Error('no')) }),
    ],
  ])('reports a listener that %s, and goes on with the others', async (_how, listener) => {
    const { events, logged } = listeners();
    const seen: unknown[] = [];
    const errors: Error[] = [];
    events.on('polled', listener);
    events.on('polled', (event) => void seen.push(event));
    events.on('error', ({ error }) => void errors.push(error));
    events.emit('polled', { records: 1, bytes: 1 });
    expect(seen).toHaveLength(1);
    await tick();
    expect(errors.map((error) => error.message)).toEqual([expect.stringContaining('no')]);
    expect(logged).toEqual([['a listener threw', { event: 'polled', error: errors[0] }]]);
  });

  it("does not tell listeners of 'error' about their own failures", async () => {
    const { events, logged } = listeners();
    let calls = 0;
    const rejecting = (): unknown => {
      calls++;
      return Promise.reject(new Error('again'));
    };
    events.on('error', rejecting);
    events.emit('error', { error: new Error('first') });
    await tick();
    expect([calls, logged.length]).toEqual([1, 1]);
  });

  it.each(['setled', 'toString', '', undefined])('refuses an event that there is not: %s', (event) => {
    const { events } = listeners();
    const listen = (): unknown => events.on(event as 'settled', () => {});
    expect(listen).toThrow(InvalidOptionError);
    expect(listen).toThrow(
      /state, assigned, revoked, polled, settled, failed, committed, dead-letter-failed, frozen, .*error/,
    );
  });

  it('refuses a listener that is no function', () => {
    const { events } = listeners();
    expect(() => events.on('settled', undefined as never)).toThrow(InvalidOptionError);
  });
});
