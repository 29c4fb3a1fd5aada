import { AuthenticationError, ClientError, ConnectionError, IllegalStateError } from '../errors.ts';
import type { ConnectOptions } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import type { Logger } from '../logger.ts';
import { pauseFor, settledWithin, within } from './bounded.ts';
import { requestError, toNativeError } from './client-errors.ts';
import { ClientEvents, type ClientLogLine, isLostLoginText } from './client-events.ts';
import type { ClientProperties, OAuthBearerToken } from './client-options.ts';
import { letGo } from './native-callbacks.ts';
import {
  configurationError,
  type Done,
  type NativeAdmin,
  type NativeClient,
  type NativeMetadata,
} from './native-client.ts';
import { TokenRefresh } from './token-refresh.ts';

/** Rounds of asking for metadata while connecting: short ones first, since a question that came too early is answered only at its end. */
const FIRST_ROUND_MS = 50;
const LONGEST_ROUND_MS = 2_000;

/** How often a refusal and the caller's signal are looked at meanwhile. */
const LOOK_MS = 25;

/** What the native client is given beyond a call's own timeout before we stop waiting for its answer. */
const GRACE_MS = 2_000;

/** How long closing waits for calls under way, and for the native disconnect. A request to brokers that are away takes longer. */
const CALLS_MS = 6_000;
const DISCONNECT_MS = 15_000;

/** What a client of any kind is made with. */
export interface RawClientOptions {
  readonly brokers: readonly string[];
  readonly properties: ClientProperties;
  readonly token: (() => Promise<OAuthBearerToken>) | undefined;
  readonly logger: Logger;
  readonly report: (error: KafkaWorkerError) => void;
  /** Gets librdkafka's statistics, if its interval is set. */
  readonly statistics?: ((text: string) => void) | undefined;
  /** Makes an admin client on the client's connections, for those that have admin calls to make. */
  readonly newAdmin?: (client: NativeClient) => NativeAdmin;
}

/**
 * What every raw client needs around it. Its states: new (nothing native exists), connecting, connected, closed for good.
 * No native call is made before or after connected, and none is under way when the native disconnect begins: librdkafka's handle
 * goes away underneath them, and the process with it.
 */
export class RawClient<Native extends NativeClient> {
  readonly brokers: readonly string[];
  readonly events: ClientEvents;
  readonly #options: RawClientOptions;
  readonly #create: (callbacks: Record<string, unknown>) => Native;
  /** What is under way, by what it would fail with. */
  readonly #calls = new Map<Promise<unknown>, string>();
  #native: Native | undefined;
  #admin: NativeAdmin | undefined;
  #lastAdminCall: Promise<unknown> = Promise.resolve();
  /** While librdkafka's handle is being made: then there is something to disconnect that nobody has yet. */
  #starting: Promise<void> | undefined;
  #state: 'new' | 'connecting' | 'connected' | 'closing' | 'closed' = 'new';
  #disconnected: Promise<void> | undefined;

  constructor(options: RawClientOptions, create: (callbacks: Record<string, unknown>) => Native) {
    this.brokers = options.brokers;
    this.#options = options;
    this.#create = create;
    this.events = new ClientEvents(options.brokers, options.logger, options.report);
  }

  get isConnected(): boolean {
    return this.#state === 'connected';
  }

  /** Whether native calls can be made, be a broker reached or not. */
  get isUsable(): boolean {
    return this.#state === 'connected' || this.#state === 'connecting';
  }

  /** The native client, for calls that return at once. @throws IllegalStateError when it is not connected */
  get native(): Native {
    if (this.#native === undefined || !this.isUsable) {
      throw new IllegalStateError(`the Kafka client is ${this.#state === 'new' ? 'not connected yet' : 'closed'}`);
    }
    return this.#native;
  }

  /**
   * Connects; librdkafka itself keeps trying with backoff and jitter. `started` is called as soon as native calls are possible, so
   * that the client can be served while it connects: a consumer hears of failures only when it is. `stop` ends that again, when
   * connecting fails.
   */
  async connect(
    options: ConnectOptions,
    started: () => void,
    stop: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<void> {
    if (this.#state !== 'new') throw new IllegalStateError('connect can be called once');
    this.#state = 'connecting';
    try {
      this.#starting = this.#start();
      await this.#starting;
      started();
      await this.#reachBrokers(options);
      this.events.accepted();
      this.#state = this.#state === 'connecting' ? 'connected' : this.#state;
    } catch (error) {
      await stop();
      await this.disconnect();
      throw error;
    }
    if (!this.isUsable) throw new IllegalStateError('closed while connecting');
  }

  /** Makes a native call that answers by a callback, within `timeoutMs` and a little. */
  async call<T>(what: string, timeoutMs: number, run: (native: Native, done: Done<T>) => void): Promise<T> {
    const native = this.native;
    const answer = new Promise<T>((resolve, reject) => {
      run(native, (error, value) => {
        if (error === null || error === undefined) resolve(value);
        else reject(error);
      });
    });
    this.#calls.set(answer, what);
    const forget = (): void => void this.#calls.delete(answer);
    answer.then(forget, forget);
    const late = (): Error =>
      new ConnectionError(`${what}: no answer within ${timeoutMs} ms`, { brokers: this.brokers });
    try {
      return await within(answer, timeoutMs + GRACE_MS, late);
    } catch (thrown) {
      throw thrown instanceof ConnectionError ? thrown : requestError(thrown, what, this.brokers);
    }
  }

  /**
   * The same, on the admin client. One at a time: it answers no second one before the first, and that would keep a thread of
   * Node's pool meanwhile.
   */
  async callAdmin<T>(what: string, timeoutMs: number, run: (admin: NativeAdmin, done: Done<T>) => void): Promise<T> {
    const answer = this.#lastAdminCall.then(() =>
      this.call<T>(what, timeoutMs, (_native, done) => {
        if (this.#admin === undefined) throw new IllegalStateError('the Kafka client has no admin client');
        run(this.#admin, done);
      }),
    );
    this.#lastAdminCall = answer.catch(() => {});
    return answer;
  }

  metadata(topic: string | undefined, timeoutMs: number): Promise<NativeMetadata> {
    const request = {
      timeout: timeoutMs,
      ...(topic === undefined ? { allTopics: true } : { allTopics: false, topic }),
    };
    return this.call('metadata cannot be read', timeoutMs, (native, done) => native.getMetadata(request, done));
  }

  /** Disconnects within a bound. Idempotent, and fine before and after a failed connect. */
  disconnect(
    run: (native: Native, done: () => void) => void = (native, done) => native.disconnect(done),
  ): Promise<void> {
    this.#disconnected ??= this.#disconnect(run);
    return this.#disconnected;
  }

  async #disconnect(run: (native: Native, done: () => void) => void): Promise<void> {
    this.#state = 'closing';
    const calls = Promise.allSettled([this.#starting, ...this.#calls.keys()]);
    const isQuiet = await settledWithin(calls, CALLS_MS);
    this.#state = 'closed';
    const gone = calls.then(() => this.#disconnectNative(run));
    if (!isQuiet) {
      // Every native call ends by itself; the client goes then, behind whoever closes it.
      this.#options.logger.warn('kafka client is closed with calls under way, and disconnects when they have ended', {
        calls: [...this.#calls.values()],
      });
      gone.catch(() => {});
      return;
    }
    const isDone = await settledWithin(gone, DISCONNECT_MS);
    if (!isDone) this.#options.logger.warn('kafka client did not disconnect in time', { timeoutMs: DISCONNECT_MS });
  }

  async #disconnectNative(run: (native: Native, done: () => void) => void): Promise<void> {
    const native = this.#native;
    if (native?.isConnected() === true) await new Promise<void>((resolve) => run(native, resolve));
    if (native !== undefined) letGo(native);
  }

  /** Brings the native handle to life without waiting for a broker. */
  async #start(): Promise<void> {
    const provider = this.#options.token;
    const token = provider && new TokenRefresh(provider, this.events, () => this.isUsable);
    const native = this.#create(token === undefined ? {} : { oauthbearer_token_refresh_cb: token.refresh });
    native.on('event.error', (error: { message: string }) => this.events.error(error.message));
    native.on('event.log', (line: ClientLogLine) => this.events.log(line));
    const { statistics, report } = this.#options;
    if (statistics !== undefined)
      native.on('event.stats', ({ message }: { message: string }) => {
        try {
          statistics(message);
        } catch (cause) {
          report(new ClientError('the statistics of the client cannot be read', { retriable: true, cause }));
        }
      });
    // Without a listener an EventEmitter's 'error' ends the process.
    native.on('error', (error: Error) => token?.failed(error));
    // connect() asks for metadata once, and throws the client away when there is no answer in time. What we want is a client that
    // keeps trying, so that one question is answered at once, here.
    const shadowed = native as { getMetadata?: unknown };
    shadowed.getMetadata = (_options: object, done: (error: null, value: object) => void) => done(null, {});
    try {
      await new Promise<void>((resolve, reject) => {
        native.connect({}, (error) => {
          if (error === null || error === undefined) resolve();
          else reject(error);
        });
      });
    } catch (thrown) {
      const { message } = toNativeError(thrown);
      if (/\bssl|certificate|pem\b/i.test(message))
        throw new AuthenticationError(`TLS cannot be set up: ${message}`, { cause: thrown });
      throw configurationError(thrown, this.#options.properties);
    } finally {
      delete shadowed.getMetadata;
    }
    // Now, before any call: the admin client gets a copy of the client's lock, and what a call holds of it just then, the copy holds
    // for ever. A thread of Node's pool would wait for it until the end of the process.
    this.#admin = this.#options.newAdmin?.(native);
    this.#native = native;
  }

  async #reachBrokers({ timeoutMs, signal }: ConnectOptions): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let roundMs = FIRST_ROUND_MS;
    for (let remainingMs = timeoutMs; remainingMs > 0; remainingMs = deadline - Date.now()) {
      this.#goOn(signal);
      const timeout = Math.ceil(Math.min(roundMs, Math.max(remainingMs, FIRST_ROUND_MS)));
      const answer = this.call<NativeMetadata>('no broker answers', timeout, (native, done) =>
        native.getMetadata({ allTopics: false, timeout }, done),
      );
      while (!(await settledWithin(answer, LOOK_MS))) this.#goOn(signal, answer);
      try {
        await answer;
        return;
      } catch (error) {
        // By its code a lost login is an authentication failure too.
        const isLostLogin = error instanceof AuthenticationError && isLostLoginText(this.events.lastFailure ?? '');
        if (!isLostLogin && !(error as KafkaWorkerError).retriable) throw error;
      }
      // The failures of the connections below say more than this answer does; they arrive a moment later.
      await pauseFor(LOOK_MS);
      roundMs = Math.min(roundMs * 2, LONGEST_ROUND_MS);
    }
    this.#goOn(signal);
    const { tokenFailure } = this.events;
    if (tokenFailure !== undefined) throw tokenFailure;
    throw this.#unreachable(`no broker could be reached within ${timeoutMs} ms`, undefined);
  }

  /** Throws what makes going on pointless; the answer that is left behind is nobody's then. */
  #goOn(signal: AbortSignal | undefined, answer?: Promise<unknown>): void {
    const { authentication } = this.events;
    const isPointless = signal?.aborted === true || authentication !== undefined || !this.isUsable;
    if (!isPointless) return;
    answer?.catch(() => {});
    if (signal?.aborted === true) throw this.#unreachable('connecting was aborted', signal.reason);
    if (authentication !== undefined) throw authentication;
    throw new IllegalStateError('closed while connecting');
  }

  #unreachable(what: string, cause: unknown): ConnectionError {
    const last = this.events.lastFailure;
    const message = `${what}: ${this.brokers.join(', ')}${last === undefined ? '' : `. Last failure: ${last}`}`;
    return new ConnectionError(message, { brokers: this.brokers, cause: cause ?? last });
  }
}
