import type { IncomingMessage, ServerResponse } from 'node:http';
import { toError } from './kafka-worker-error.ts';

/** What a path is answered with. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Answers one path; a promise has to have a bound of its own. */
export type HttpPath = () => HttpAnswer | Promise<HttpAnswer>;

/** Answers GET and HEAD of a few paths, for `serveHttp`: for probes and scrapers. A path that throws is a 500 with the reason. */
export function answerPaths(
  paths: Readonly<Record<string, HttpPath>>,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => void respond(paths, request, response);
}

/** An answer of one value. */
export function jsonAnswer(status: number, body: object): HttpAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
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
