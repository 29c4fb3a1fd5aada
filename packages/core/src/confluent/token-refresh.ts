import { AuthenticationError } from '../errors.ts';
import { toError } from '../kafka-worker-error.ts';
import type { ClientEvents } from './client-events.ts';
import type { OAuthBearerToken } from './client-options.ts';

/** Gives librdkafka bearer tokens from the user's provider: when it connects, and again before one expires. */
export class TokenRefresh {
  readonly #provider: () => Promise<OAuthBearerToken>;
  readonly #events: ClientEvents;
  readonly #isUsable: () => boolean;
  /** Errors that went to the package, which emits them again. */
  readonly #reported = new WeakSet<Error>();

  constructor(provider: () => Promise<OAuthBearerToken>, events: ClientEvents, isUsable: () => boolean) {
    this.#provider = provider;
    this.#events = events;
    this.#isUsable = isUsable;
  }

  /** An error that the package emits. */
  failed(error: Error): void {
    if (!this.#reported.has(error)) this.#events.token(new AuthenticationError(error.message, { cause: error }), true);
  }

  /** librdkafka's callback, in the package's form of it. */
  readonly refresh = async (): Promise<object> => {
    let problem: AuthenticationError;
    let isFinal = false;
    try {
      const token = await this.#provider();
      const flaw = tokenFlaw(token);
      if (flaw === undefined) return await this.#ifUsable(() => this.#nativeToken(token));
      problem = new AuthenticationError(`the token provider's token cannot be used: ${flaw}`);
      isFinal = true;
    } catch (thrown) {
      // It may have been a passing failure: librdkafka asks again in a while.
      const message = `the token provider failed: ${toError(thrown).message}`;
      problem = new AuthenticationError(message, { retriable: true, cause: thrown });
    }
    return this.#ifUsable(() => {
      this.#events.token(problem, isFinal);
      const forPackage = new Error(problem.message);
      this.#reported.add(forPackage);
      throw forPackage;
    });
  };

  /** The package answers with a native call, closed or not, and nobody catches what that throws: then it never gets an answer. */
  #ifUsable<T>(run: () => T): T | Promise<T> {
    return this.#isUsable() ? run() : new Promise<T>(() => {});
  }

  #nativeToken({ value, expiresAt, principal, extensions }: OAuthBearerToken): object {
    this.#events.tokenAccepted();
    return {
      tokenValue: value,
      lifetime: Math.floor(expiresAt),
      principal: principal ?? '',
      extensions: extensions ?? {},
    };
  }
}

/** The last moment that a Date can name. */
const MAX_TIME = 8.64e15;

function tokenFlaw(token: OAuthBearerToken): string | undefined {
  if (typeof token !== 'object' || token === null || !isText(token.value) || token.value === '') {
    return 'its value is not a string';
  }
  const { expiresAt, principal, extensions } = token;
  if (!Number.isFinite(expiresAt) || Math.abs(expiresAt) > MAX_TIME)
    return 'expiresAt is not a time in milliseconds since the epoch';
  if (expiresAt <= Date.now()) return `it expired at ${new Date(expiresAt).toISOString()}`;
  if (principal !== undefined && !isText(principal)) return 'its principal is not a string';
  if (extensions === undefined) return undefined;
  if (typeof extensions !== 'object' || extensions === null || !Object.values(extensions).every(isText))
    return 'its extensions are not strings by name';
  return undefined;
}

/** A NUL would cut it short on its way into the native client. */
function isText(value: unknown): boolean {
  return typeof value === 'string' && !value.includes('\0');
}
