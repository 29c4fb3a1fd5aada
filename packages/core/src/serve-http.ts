import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InvalidOptionError } from './errors.ts';
import { check, nonEmptyString, optional } from './option-checks.ts';
import { checkObject } from './worker-checks.ts';

/** What an answer that is under way gets, when the server is closed. */
const CLOSE_MS = 500;

/** Where something is served. */
export interface ServeHttpOptions {
  /** 0 takes any free port: `url` tells which. */
  readonly port: number;
  /** The address to listen on. @defaultValue every address of the machine */
  readonly host?: string;
}

/** Serves until it is disposed of. */
export interface HttpService extends AsyncDisposable {
  /** Without a path, such as `http://localhost:8080`. */
  readonly url: string;
}

/**
 * Serves over HTTP beside a worker, for plugins that have something to show. It keeps no process alive, its connections neither, and an error that comes
 * later ends nothing. Disposing of it frees the port at once, and gives answers that are under way 500 ms.
 *
 * @throws {@link InvalidOptionError} as a rejection: for options that are none, and for a port or a host that cannot be listened on
 */
export async function serveHttp(
  options: ServeHttpOptions,
  respond: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HttpService> {
  checkOptions(options);
  const { port, host } = options;
  const server = createServer(respond);
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
