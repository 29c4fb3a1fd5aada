import { type ChildProcess, spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';

/** The checkout. */
export const root: string = join(import.meta.dirname, '..');

let current: ChildProcess | undefined;

/** Runs a program of this repository in the foreground and resolves with its exit code, or the name of the signal. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<number | string> {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  return new Promise((resolve, reject) => {
    current = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env, PATH: path },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    current.once('error', reject);
    current.once('close', (code, signal) => {
      current = undefined;
      resolve(code ?? signal ?? 1);
    });
  });
}

/** Hands a signal on to the program that runs at the moment. */
export function signalCurrent(signal: NodeJS.Signals): void {
  current?.kill(signal);
}
