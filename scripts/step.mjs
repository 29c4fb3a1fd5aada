import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const stillRunningEveryMs = 15_000;

/**
 * Runs one command as a step: a line when it starts, a line with the elapsed time when it ends, a sign of life
 * in between. What the command prints is kept back and shown only if it fails. Lines go to stderr, so that a
 * command whose last line of output is read by a program can come after a set-up.
 *
 * @param {string} title
 * @param {string} command
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
export async function step(title, command, args, env = process.env) {
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1_000).toFixed(1)} s`;
  const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-setup-'));
  const log = join(directory, 'output');
  const output = openSync(log, 'w');
  console.error(`set-up: ${title} …`);
  const stillRunning = setInterval(() => console.error(`set-up:   ${seconds()} so far …`), stillRunningEveryMs);
  try {
    const code = await new Promise((resolve, reject) => {
      const child = spawn(command, args, { stdio: ['ignore', output, output], env });
      child.once('error', reject);
      child.once('exit', (exitCode, signal) => resolve(exitCode ?? signal));
    });
    if (code !== 0) {
      const tail = readFileSync(log, 'utf8').split('\n').slice(-40).join('\n');
      throw new StepError(`${title}: '${command} ${args.join(' ')}' ended with ${code}:\n${tail}`);
    }
    console.error(`set-up:   done in ${seconds()}`);
  } finally {
    clearInterval(stillRunning);
    closeSync(output);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A step that cannot succeed; the message says what to do. */
export class StepError extends Error {}
