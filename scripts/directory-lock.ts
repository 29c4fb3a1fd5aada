import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity } from './process-identity.ts';

/** What a lock file in the directory is called, before the identity of its process. */
const lockPrefix = 'busy-';

/** How to take a lock. */
export interface DirectoryLockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once, with the id of the process that is waited for. */
  readonly onWait?: (pid: number) => void;
}

/**
 * Does some work while no other process does work under this lock in the same directory; waits for them.
 *
 * Each process that wants the lock leaves a file named after itself and then looks for others; it has the lock if it
 * is alone. A file's name says which process it is, so the file of a process that is gone can be removed by anybody
 * at any time, which is not so for one file that everybody shares. No descriptor stays open that a child could inherit.
 */
export async function withDirectoryLock<Result>(
  directory: string,
  work: () => Promise<Result>,
  { signal, onWait }: DirectoryLockOptions = {},
): Promise<Result> {
  const own = `${lockPrefix}${processIdentity() ?? process.pid}`;
  let told = false;
  mkdirSync(directory, { recursive: true });
  for (;;) {
    signal?.throwIfAborted();
    // Refused if this very process holds the lock already: that is a mistake of its author.
    writeFileSync(join(directory, own), '', { flag: 'wx' });
    const [other] = otherHolders(directory, own);
    if (other === undefined) break;
    rmSync(join(directory, own));
    if (!told) onWait?.(Number(other.slice(lockPrefix.length).split('-')[0]));
    told = true;
    // Two that came at once both stepped back; they do not come again at once.
    await sleep(50 + Math.random() * 200, undefined, { signal });
  }
  try {
    return await work();
  } finally {
    rmSync(join(directory, own), { force: true });
  }
}

function otherHolders(directory: string, own: string): string[] {
  return readdirSync(directory).filter((name) => {
    if (!name.startsWith(lockPrefix) || name === own) return false;
    const identity = name.slice(lockPrefix.length);
    if (processIdentity(Number(identity.split('-')[0])) === identity) return true;
    rmSync(join(directory, name), { force: true });
    return false;
  });
}
