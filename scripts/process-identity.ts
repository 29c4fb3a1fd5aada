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

/** A process as it is written down, for another process to find it again. */
export interface KnownProcess {
  readonly pid: number;
  /** What {@link processIdentity} said of it; nothing if it had ended before it could be asked. */
  readonly identity?: string | undefined;
}

/** To be written down at once after it was spawned. */
export function knownProcess(pid: number): KnownProcess {
  return { pid, identity: processIdentity(pid) };
}

/** Whether that very process still runs. Not asked by its command line, which is empty for a moment while a program takes a process over. */
export function isRunning({ pid, identity }: KnownProcess): boolean {
  return identity !== undefined && processIdentity(pid) === identity;
}

/** Sends a signal to a process that runs, or has just ended by itself. */
export function signalProcess({ pid }: KnownProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
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
