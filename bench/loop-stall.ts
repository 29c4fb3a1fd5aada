import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 5;

/** Measures the longest time that the event loop was held, from now until the returned function is called; in milliseconds. */
export function watchLoopStall(): () => number {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  return () => {
    delay.disable();
    return Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
  };
}
