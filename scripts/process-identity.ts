import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Names a process for good, as `PID-START`: a process id alone may belong to somebody else by the time it is looked
 * at. `undefined` if there is no such process. Only for comparison with what this function said on the same machine.
 */
export function processIdentity(pid: number = process.pid): string | undefined {
  const started = hasProc() ? startedFromProc(pid) : ps(pid, 'lstart=').replaceAll(/\W+/g, '');
  return started === '' || started === undefined ? undefined : `${pid}-${started}`;
}

/** The program and the arguments of a process, separated by NUL or, where there is no `/proc`, by spaces; empty if there is none. */
export function commandLine(pid: number): string {
  if (!hasProc()) return ps(pid, 'command=');
  return readIfThere(`/proc/${pid}/cmdline`)?.replace(/\0$/, '') ?? '';
}

/** Field 22 of `stat`, in clock ticks since the machine started; a zombie counts as ended. */
function startedFromProc(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // The name of the program, field 2, stands in parentheses and may contain anything.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

function ps(pid: number, column: string): string {
  return spawnSync('ps', ['-ww', '-o', column, '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
}

function hasProc(): boolean {
  return existsSync('/proc/self/stat');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
