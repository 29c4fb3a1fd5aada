import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidOptionError, toError } from './errors.ts';
import { check, has, nonEmptyString, optional } from './option-checks.ts';
import { type Runnable, statusesOf } from './runnable.ts';
import { checkObject } from './worker-checks.ts';

/** What an answer that is under way gets, when the server is closed. */
const CLOSE_MS = 500;

/** Where the probes of a worker are served. */
export interface HealthServerOptions {
  /** 0 takes any free port: `url` tells which. */
  readonly port: number;
  /** The address to listen on. @defaultValue every address of the machine, as probes from outside need it */
  readonly host?: string;
}

/** Serves until it is disposed of. */
export interface HealthServer extends AsyncDisposable {
  /** Without a path, such as `http://localhost:8080`. */
  readonly url: string;
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

/**
 * Serves a worker's, or a group's, health over HTTP, for probes: `/live` and `/ready` answer 200 or 503 with `{ live | ready, reasons }`, `/status`
 * with everything that `status()` and `health()` say. Whoever reaches the port reads topics, offsets, keys of records that hold something up, and
 * messages of errors. It keeps no process alive, and ends with none: dispose of it when the worker has ended, so that probes see how it ends.
 *
 * @throws {@link InvalidOptionError} as a rejection: for options that are none, and for a port or a host that cannot be listened on
 */
export async function healthServer(target: Runnable, options: HealthServerOptions): Promise<HealthServer> {
  checkArguments(target, options);
  const { port, host } = options;
  const server = createServer((request, response) => respond(target, request, response));
  // The worker keeps the process, what looks at it does not.
  server.on('connection', (socket) => socket.unref());
  await listen(server, port, host);
  server.unref();
  let closed: Promise<void> | undefined;
  return {
    url: urlOf(server.address() as AddressInfo, host),
    [Symbol.asyncDispose]: () => {
      closed ??= close(server);
      return closed;
    },
  };
}

function checkArguments(target: unknown, options: unknown): void {
  check('target', target, 'a worker or a group, made with new', has('name', 'state', 'health', 'status'));
  checkObject('options', options);
  const { port, host } = options as { readonly port?: unknown; readonly host?: unknown };
  const isPort = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535;
  check('port', port, 'a whole number from 0 (any free port) to 65535', isPort);
  optional('host', host, nonEmptyString);
}

function listen(server: Server, port: number, host: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    // It stays: an error that comes later, such as too many open files, ends no process.
    server.on('error', (error: NodeJS.ErrnoException) => reject(explained(error, port, host)));
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => resolve());
  });
}

function explained(error: NodeJS.ErrnoException, port: number, host: string | undefined): Error {
  const { code } = error;
  if (code === 'EADDRINUSE') {
    const expected = 'a port that nobody listens on: take another, or 0 for any free one, or end the other process';
    return new InvalidOptionError('port', expected, port);
  }
  if (code === 'EACCES')
    return new InvalidOptionError('port', 'a port that this user may listen on, such as 8080', port);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return new InvalidOptionError('host', "an address of this machine, such as '127.0.0.1' or '0.0.0.0'", host);
  return error;
}

function urlOf({ port }: AddressInfo, host: string | undefined): string {
  const isEvery = host === undefined || host === '::' || host === '0.0.0.0';
  const name = isEvery ? 'localhost' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function respond(target: Runnable, request: IncomingMessage, response: ServerResponse): void {
  const { status, body } = answered(target, request);
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}

const paths: Readonly<Record<string, (target: Runnable) => Answer>> = {
  '/live': (target) => {
    const { live, reasons } = target.health();
    return { status: live ? 200 : 503, body: { live, reasons } };
  },
  '/ready': (target) => {
    const { ready, reasons } = target.health();
    return { status: ready ? 200 : 503, body: { ready, reasons } };
  },
  '/status': (target) => {
    const { name, state } = target;
    return { status: 200, body: { name, state, health: target.health(), workers: statusesOf(target) } };
  },
};

function answered(target: Runnable, { method, url = '/' }: IncomingMessage): Answer {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, body: { error: 'only GET and HEAD are answered here' } };
  const path = url.split('?', 1)[0] ?? '/';
  const answer = Object.hasOwn(paths, path) ? paths[path] : undefined;
  if (answer === undefined) return { status: 404, body: { error: 'there is no such path', paths: Object.keys(paths) } };
  try {
    return answer(target);
  } catch (thrown) {
    return { status: 500, body: { error: toError(thrown).message } };
  }
}

/** Connections that are kept open by the other side are ended. */
async function close(server: Server): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
  });
  clearTimeout(timer);
}
