import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { Done, NativeAdmin, NativeClient, NativeMetadata } from './native-client.ts';
import { RawClient } from './raw-client.ts';

const warnings: string[] = [];
const logger = { debug() {}, info() {}, warn: (message: string) => void warnings.push(message), error() {} };

/** A client whose brokers are away: its calls answer when the test says so, and never in time. */
class SilentNative implements NativeClient {
  readonly open: Done<NativeMetadata>[] = [];
  openAtDisconnect: number | undefined;
  #isConnected = false;

  connect(_options: object, done: Done<unknown>): void {
    this.#isConnected = true;
    done(null, undefined);
  }
  getMetadata(_options: object, done: Done<NativeMetadata>): void {
    this.open.push(done);
  }
  disconnect(done: Done<unknown>): void {
    this.openAtDisconnect = this.open.length;
    this.#isConnected = false;
    done(null, undefined);
  }
  isConnected(): boolean {
    return this.#isConnected;
  }
  on(): this {
    return this;
  }
}

type NewAdmin = (client: NativeClient) => NativeAdmin;

function rawClient(native: SilentNative, newAdmin?: NewAdmin): RawClient<SilentNative> {
  const admin = newAdmin === undefined ? {} : { newAdmin };
  const options = { brokers: ['b:1'], properties: {}, token: undefined, logger, report: () => {}, ...admin };
  return new RawClient(options, () => native);
}

async function connected(newAdmin?: NewAdmin): Promise<{ native: SilentNative; raw: RawClient<SilentNative> }> {
  const native = new SilentNative();
  const raw = rawClient(native, newAdmin);
  const done = raw.connect({ timeoutMs: 10_000 }, () => {});
  await jest.advanceTimersByTimeAsync(0);
  native.open.shift()?.(null, { topics: [] });
  await jest.advanceTimersByTimeAsync(0);
  await done;
  return { native, raw };
}

describe('RawClient', () => {
  afterEach(() => void jest.useRealTimers());

  // librdkafka's handle goes away underneath a call, and the process with it.
  it('disconnects natively only when every call has ended, however long that takes, and closes within its bound', async () => {
    jest.useFakeTimers();
    const { native, raw } = await connected();
    const call = raw.metadata('t', 15_000).catch((error: unknown) => error);
    const closed = raw.disconnect();
    await jest.advanceTimersByTimeAsync(6_000);
    await closed;
    expect(warnings.splice(0)).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(11_000);
    expect(await call).toMatchObject({ name: 'ConnectionError' });
    expect(native.openAtDisconnect).toBeUndefined();
    native.open.shift()?.(new Error('timed out'), { topics: [] });
    await jest.advanceTimersByTimeAsync(0);
    expect(native.openAtDisconnect).toBe(0);
  });

  // The process would never end: the client that came to life afterwards belonged to nobody.
  it('disconnects what was still being started when it was closed, and nothing is done with it', async () => {
    jest.useFakeTimers();
    const native = new SilentNative();
    let answer: (() => void) | undefined;
    native.connect = (options, done) => {
      answer = () => SilentNative.prototype.connect.call(native, options, done);
    };
    const raw = rawClient(native);
    const failed = raw
      .connect({ timeoutMs: 10_000 }, () => expect(raw.native).toBeDefined())
      .catch((error: unknown) => error);
    const closed = raw.disconnect();
    await jest.advanceTimersByTimeAsync(100);
    answer?.();
    await closed;
    expect(await failed).toMatchObject({ code: 'ILLEGAL_STATE' });
    expect([native.openAtDisconnect, native.isConnected(), jest.getTimerCount()]).toEqual([0, false, 0]);
  });

  it('closes within its bound when starting takes longer, and disconnects when that has ended', async () => {
    jest.useFakeTimers();
    const native = new SilentNative();
    let answer: (() => void) | undefined;
    native.connect = (options, done) => {
      answer = () => SilentNative.prototype.connect.call(native, options, done);
    };
    const raw = rawClient(native);
    const failed = raw
      .connect({ timeoutMs: 10_000 }, () => expect(raw.native).toBeDefined())
      .catch((error: unknown) => error);
    const closed = raw.disconnect();
    await jest.advanceTimersByTimeAsync(6_000);
    await closed;
    expect(warnings.splice(0)).toHaveLength(1);
    answer?.();
    await jest.advanceTimersByTimeAsync(0);
    expect(await failed).toMatchObject({ code: 'ILLEGAL_STATE' });
    expect([native.openAtDisconnect, native.isConnected()]).toEqual([0, false]);
  });

  // The copy of the client's lock that an admin client gets stays as it is just then: held for ever, if a call holds it.
  it('makes its admin client before any call, and has one admin call under way at a time', async () => {
    jest.useFakeTimers();
    const callsWhenMade: number[] = [];
    const { raw } = await connected((client) => {
      if (client instanceof SilentNative) callsWhenMade.push(client.open.length);
      return {} as NativeAdmin;
    });
    expect(callsWhenMade).toEqual([0]);
    const open: Done<string>[] = [];
    const call = (): Promise<string> =>
      raw.callAdmin('nothing is told', 1_000, (_admin, done: Done<string>) => void open.push(done));
    const refused = call().catch(String);
    const second = call();
    await jest.advanceTimersByTimeAsync(0);
    expect(open).toHaveLength(1);
    open[0]?.(new Error('refused'), '');
    expect(await refused).toContain('refused');
    await jest.advanceTimersByTimeAsync(0);
    open[1]?.(null, 'told');
    expect(await second).toBe('told');
    await raw.disconnect();
  });

  it('disconnects at once when nothing is under way', async () => {
    jest.useFakeTimers();
    const { native, raw } = await connected();
    await raw.disconnect();
    expect(native.openAtDisconnect).toBe(0);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('stops what serves it before it disconnects, when connecting fails', async () => {
    jest.useFakeTimers();
    const native = new SilentNative();
    const raw = rawClient(native);
    const steps: string[] = [];
    native.disconnect = (done) => {
      steps.push('disconnected');
      done(null, undefined);
    };
    const failed = raw
      .connect(
        { timeoutMs: 1_000, signal: AbortSignal.abort() },
        () => void steps.push('started'),
        async () => void steps.push('stopped'),
      )
      .catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(100);
    native.open.shift()?.(null, { topics: [] });
    await jest.advanceTimersByTimeAsync(0);
    expect(await failed).toMatchObject({ name: 'ConnectionError' });
    expect(steps).toEqual(['started', 'stopped', 'disconnected']);
    expect(jest.getTimerCount()).toBe(0);
  });
});
