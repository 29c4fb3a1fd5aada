import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processIdentity } from './process-identity.ts';

/** A temporary directory whose name says which process it belongs to. */
export function makePrivateDirectory(prefix: string): string {
  return mkdtempSync(join(tmpdir(), `${prefix}${processIdentity()}-`));
}

/** What killed processes left behind under this prefix. */
export function abandonedDirectories(prefix: string): string[] {
  return readdirSync(tmpdir()).flatMap((name) => {
    if (!name.startsWith(prefix)) return [];
    const [pid = '', started = ''] = name.slice(prefix.length).split('-');
    return processIdentity(Number(pid)) === `${pid}-${started}` ? [] : [join(tmpdir(), name)];
  });
}
