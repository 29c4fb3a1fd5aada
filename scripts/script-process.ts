import { type ChildProcess, spawn } from 'node:child_process';
import { sourceProgram } from '../packages/core/src/testing/source-program.ts';
import { root } from './child.ts';

/** A script of this repository at work in a process of its own. */
export interface ScriptProcess {
  readonly child: ChildProcess;
  /** How it ended, with what it had printed. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
}

/** Runs a script as its npm command does, without the set-up. */
export function scriptProcess(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ScriptProcess {
  const [script = '', ...own] = args;
  const child = spawn(process.execPath, sourceProgram(script, ...own), {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: string): void => {
    output += chunk;
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const ended = new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
  return { child, ended };
}
