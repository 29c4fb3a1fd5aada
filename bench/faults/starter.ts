import { writeSync } from 'node:fs';
import type { Worker } from '@kafka-worker/core';

/** Says a line to whoever started this process. */
export function say(line: string): void {
  writeSync(1, `${line}\n`);
}

/** What every worker process says; it ends when its starter does. */
export function serveStarter(worker: Pick<Worker, 'on'>): void {
  // Whoever started this holds the other end, and holds it no more once it is gone.
  process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL')).resume();
  process.stdin.unref();
  worker.on('assigned', ({ partitions }) => say(`assigned ${partitions.length}`));
  worker.on('revoked', ({ partitions, lost }) => say(`revoked ${partitions.length}${lost ? ' lost' : ''}`));
}
