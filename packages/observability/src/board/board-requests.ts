import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/**
 * Why a request is not answered, undefined when it is. A page of somebody else may let its own name point to this machine (DNS rebinding), and its browser
 * then asks here under that name: so names are answered that nobody else can have. Addresses need no name server.
 */
export function refusedHost({ headers }: IncomingMessage, names: readonly string[]): string | undefined {
  const name = /^(\[[\da-f:.]+\]|[^:[\]\s/]+)(?::\d+)?$/i.exec(headers.host ?? '')?.[1]?.toLowerCase();
  const isKnown =
    name !== undefined &&
    (isIP(name.replace(/^\[|\]$/g, '')) > 0 ||
      ['localhost', hostname(), ...names].some((own) => own.toLowerCase() === name));
  if (isKnown) return undefined;
  return 'the board is not known under this name: ask for it by its address, or give board() the name as hostNames';
}

/** Whether a page of somebody else asks, as far as its browser says so. What is no browser says nothing, and cannot be made to ask by a page. */
export function isFromElsewhere({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  if (origin === undefined) return false;
  try {
    return new URL(origin).host !== new URL(`${new URL(origin).protocol}//${host}`).host;
  } catch {
    return true;
  }
}

/** What every answer carries: nothing but what is served here is run, shown, asked or framed. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    ...["script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'"],
    ...[
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      'trusted-types',
    ],
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
