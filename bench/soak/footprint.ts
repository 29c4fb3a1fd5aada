import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What this process holds. */
export interface Footprint {
  readonly heapMiB: number;
  readonly rssMiB: number;
  /** What keeps Node's event loop alive: timers, sockets, pipes, requests. The least of several looks, for handlers that wait have timers. */
  readonly handles: number;
  /** Open files and sockets, librdkafka's among them. */
  readonly descriptors: number;
  readonly threads: number;
}

const MIB = 2 ** 20;
const LOOKS = 10;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Looks, behind a collection of garbage: what is freed by finalizers is gone by then too. */
export async function footprint(): Promise<Footprint> {
  let handles = Number.POSITIVE_INFINITY;
  for (let look = 0; look < LOOKS; look++) {
    collectGarbage();
    await sleep(10);
    handles = Math.min(handles, process.getActiveResourcesInfo().length);
  }
  const { heapUsed, rss } = process.memoryUsage();
  const hasProc = process.platform === 'linux';
  return {
    heapMiB: hundredths(heapUsed / MIB),
    rssMiB: hundredths(rss / MIB),
    handles,
    descriptors: hasProc ? readdirSync('/proc/self/fd').length : 0,
    threads: hasProc ? Number(/^Threads:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) : 0,
  };
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
