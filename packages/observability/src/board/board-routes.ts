import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BoardActions } from './board-actions.ts';
import { isFromElsewhere, refusedHost, securityHeaders } from './board-requests.ts';
import type { BoardViewers } from './board-viewers.ts';
import { pageFiles } from './page-files.ts';

/** What the board answers with. */
export interface BoardRoutesParts {
  readonly viewers: BoardViewers;
  readonly actions: BoardActions;
  /** Names that it may be asked for under. */
  readonly hostNames: readonly string[];
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers one request. */
export async function respondWithBoard(
  parts: BoardRoutesParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
  const answer = await answerOf(parts, request, response);
  if (answer === undefined || response.destroyed) return;
  const { status, text, headers } = answer;
  // Not kept by browsers: a page of this version asks for files of this version.
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : text);
}

/** Undefined for a viewer, who is answered from now on. */
async function answerOf(
  { viewers, actions, hostNames }: BoardRoutesParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Answer | undefined> {
  const refused = refusedHost(request, hostNames);
  if (refused !== undefined) return asJson(421, { error: refused });
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const methods = path === '/unfreeze' ? ['POST'] : path === '/events' ? ['GET'] : ['GET', 'HEAD'];
  const allow = methods.join(', ');
  if (!methods.includes(request.method ?? ''))
    return asJson(405, { error: `only ${allow} is answered here` }, { allow });
  if (path === '/unfreeze' || path === '/events') {
    if (isFromElsewhere(request)) return asJson(403, { error: 'only the page that is served here may ask for this' });
    if (path === '/unfreeze') {
      const { status, body } = await actions.unfreeze(request);
      return asJson(status, body);
    }
    return viewers.add(response)
      ? undefined
      : asJson(503, { error: 'too many look at the board already' }, { 'retry-after': '10' });
  }
  const file = path === '/' ? 'index.html' : path.slice(1);
  const text = Object.hasOwn(pageFiles, file) ? pageFiles[file] : undefined;
  if (text === undefined) return asJson(404, { error: 'there is no such path' });
  return { status: 200, text, headers: { 'content-type': types[file.split('.').at(-1) ?? ''] ?? 'text/plain' } };
}

function asJson(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    text: `${JSON.stringify(body)}\n`,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  };
}
