import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const KIB_PER_MIB = 1_024;
/** Linux: a 5 makes the process forget its peak. */
const FORGET = ['/proc/self/clear_refs', '5'] as const;

/** Measures the most memory (RSS) that this process has from now until the returned function is called, in MiB; undefined where there is no /proc. */
export function watchPeakMemory(): () => number | undefined {
  const [file, forgetPeak] = FORGET;
  if (!existsSync(file)) return () => undefined;
  writeFileSync(file, forgetPeak);
  return () => {
    const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return kib === undefined ? undefined : Number(kib) / KIB_PER_MIB;
  };
}
