import type { IncomingMessage, ServerResponse } from 'node:http';
import { toError } from './errors.ts';
import { check, has } from './option-checks.ts';
import { type Runnable, statusesOf } from './runnable.ts';
import { type HttpService, type ServeHttpOptions, serveHttp } from './serve-http.ts';

/** Where the probes of a worker are served: on every address of the machine, unless it has a `host`, as probes from outside need it. */
export type HealthServerOptions = ServeHttpOptions;

/** Serves until it is disposed of. */
export type HealthServer = HttpService;

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
  checkTarget(target);
  return serveHttp(options, (request, response) => respond(target, request, response));
}

function checkTarget(target: unknown): void {
  check('target', target, 'a worker or a group, made with new', has('name', 'state', 'health', 'status'));
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
