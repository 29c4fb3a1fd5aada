import { watchLoopStall } from '../loop-stall.ts';
import type { Strain } from './contestant.ts';
import { watchPeakMemory } from './peak-memory.ts';

/** Watches what it costs this process, from now until the returned function is called. */
export function watchStrain(): () => Strain {
  const cpuBefore = process.cpuUsage();
  const peakMiB = watchPeakMemory();
  const stallMs = watchLoopStall();
  return () => {
    const { user, system } = process.cpuUsage(cpuBefore);
    return { stallMs: stallMs(), peakMiB: peakMiB(), cpuSeconds: (user + system) / 1e6 };
  };
}
