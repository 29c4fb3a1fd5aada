import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidOptionError, toError } from './errors.ts';
import { check, nonEmptyString, optional } from './option-checks.ts';
import { checkObject } from './worker-checks.ts';

/** What an answer that is under way gets, when the server is closed. */
const CLOSE_MS = 500;

/** Where a server listens. */
export interface HttpServerOptions {
  /** 0 takes any free port: `url` tells which. */
  readonly port: number;
  /** The address to listen on. @defaultValue every address of the machine, as probes from outside need it */
  readonly host?: string;
}

/** Serves until it is disposed of. */
export interface HttpServer extends AsyncDisposable {
  /** Without a path, such as `http://localhost:8080`. */
  readonly url: string;
}

/** What a path is answered with. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers one path; a promise has to have a bound of its own. */
export type HttpPath = () => HttpAnswer | Promise<HttpAnswer>;

/**
 * Serves a few paths over HTTP, to GET and HEAD: for probes and scrapers. A path that throws is a 500 with the reason. It keeps no process alive, and ends
 * with none: dispose of it.
 *
 * @throws {@link InvalidOptionError} as a rejection: for options that are none, and for a port or a host that cannot be listened on
 */
export async function openHttpServer(
  paths: Readonly<Record<string, HttpPath>>,
  options: HttpServerOptions,
): Promise<HttpServer> {
  checkOptions(options);
  const { port, host } = options;
  const server = createServer((request, response) => void respond(paths, request, response));
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

/** An answer of one value. */
export function jsonAnswer(status: number, body: object): HttpAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
}

function checkOptions(options: unknown): void {
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

async function respond(
  paths: Readonly<Record<string, HttpPath>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, contentType, body } = await answered(paths, request);
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answered(
  paths: Readonly<Record<string, HttpPath>>,
  { method, url = '/' }: IncomingMessage,
): Promise<HttpAnswer> {
  if (method !== 'GET' && method !== 'HEAD') return jsonAnswer(405, { error: 'only GET and HEAD are answered here' });
  const path = url.split('?', 1)[0] ?? '/';
  const answer = Object.hasOwn(paths, path) ? paths[path] : undefined;
  if (answer === undefined) return jsonAnswer(404, { error: 'there is no such path', paths: Object.keys(paths) });
  try {
    return await answer();
  } catch (thrown) {
    return jsonAnswer(500, { error: toError(thrown).message });
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
