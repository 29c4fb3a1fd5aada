import {
  type AnyWorker,
  type HttpService,
  InvalidOptionError,
  type ServeHttpOptions,
  serveHttp,
  type WorkerGroup,
} from '@kafka-worker/core';
import { BoardActions } from './board/board-actions.ts';
import { respondWithBoard } from './board/board-routes.ts';
import { boardSnapshot, workersOf } from './board/board-snapshot.ts';
import { BoardViewers } from './board/board-viewers.ts';
import { Rates } from './board/rates.ts';
import { RecentFailures } from './board/recent-failures.ts';
import { WatchedWorkers } from './board/watched-workers.ts';

const TICK_MS = 1_000;
/** So many guesses as are answered in a minute find no such token. */
const MIN_TOKEN_LENGTH = 12;

/** Start with `port`. */
export interface BoardOptions extends ServeHttpOptions {
  /**
   * The address to listen on. Whoever reaches it reads topics, offsets, keys and messages of errors.
   * @defaultValue `'127.0.0.1'`: this machine alone
   */
  readonly host?: string;
  /** Names, beside `localhost` and that of the machine, under which a browser may ask for it: what stands in `Host`. @defaultValue none */
  readonly hostNames?: readonly string[];
  /**
   * Buttons that try a frozen record again, or pass it over, for who has the token: text without spaces, of 12 characters or more, from
   * `randomBytes(16)` say. @defaultValue no buttons
   */
  readonly allowActions?: { readonly token: string };
}

/** Serves until it is disposed of. */
export type Board = HttpService;

/**
 * A live page of a worker, or of a group: its partitions and what blocks them, its lanes, what it handles per second, what is frozen, what has failed. It
 * is served by this process; a token in the address, `url/#token=…`, saves typing it. Values of records are never shown.
 *
 * From here to its end it counts what is handled, an addition a record. While somebody looks, the worker is asked for its status once a second, however
 * many look, and less often where that takes long. It keeps no process alive and ends with none: dispose of it when the worker has ended.
 * @throws InvalidOptionError as a rejection: for options that are none, and for a port or a host that cannot be listened on
 */
export async function board(target: AnyWorker | WorkerGroup, options: BoardOptions): Promise<Board> {
  checkArguments(target, options);
  const { port, host = '127.0.0.1', hostNames = [], allowActions } = options;
  const rates = new Rates(performance.now());
  const failures = new RecentFailures();
  const hasActions = allowActions !== undefined;
  const watched = new WatchedWorkers(target, rates, failures);
  const idOf = (worker: AnyWorker): number => watched.idOf(worker);
  const viewers = new BoardViewers(() => boardSnapshot({ target, idOf, rates, failures, hasActions }));
  const actions = new BoardActions(allowActions?.token, (id) =>
    workersOf(target).find((worker) => idOf(worker) === id),
  );
  const parts = { viewers, actions, hostNames: [...hostNames, host] };
  const service = await serveHttp({ port, host }, (request, response) => {
    respondWithBoard(parts, request, response).catch(() => response.destroy());
  });
  // Only now: a board that could not be served has left nothing behind.
  watched.begin();
  const ticks = setInterval(() => {
    rates.tick(performance.now());
    failures.tick();
  }, TICK_MS).unref();
  return {
    url: service.url,
    [Symbol.asyncDispose]: async () => {
      clearInterval(ticks);
      watched.end();
      viewers.close();
      await service[Symbol.asyncDispose]();
    },
  };
}

function checkArguments(target: unknown, options: BoardOptions): void {
  if (typeof target !== 'object' || target === null || !('health' in target) || !('status' in target))
    throw new InvalidOptionError('target', 'a worker or a group, made with new', target);
  const known = ['port', 'host', 'hostNames', 'allowActions'];
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError('options', `an object with ${known.join(', ')}`, options);
  for (const option of Object.keys(options))
    if (!known.includes(option))
      // Not what came: it may be a token in the wrong place.
      throw new InvalidOptionError(option, `no option of that name (there is ${known.join(', ')})`, '…');
  const { hostNames, allowActions } = options;
  if (hostNames !== undefined && !(Array.isArray(hostNames) && hostNames.every((name) => typeof name === 'string')))
    throw new InvalidOptionError('hostNames', 'an array of names, without ports', hostNames);
  if (allowActions === undefined) return;
  const token: unknown = allowActions?.token;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || token.length < MIN_TOKEN_LENGTH)
    throw new InvalidOptionError(
      'allowActions.token',
      `text without spaces of at least ${MIN_TOKEN_LENGTH} characters, such as randomBytes(16).toString('hex')`,
      typeof token === 'string' ? 'text that is shorter, or that no header can carry' : typeof token,
    );
}
