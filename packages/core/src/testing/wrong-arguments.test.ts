import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { sourceProgram } from './source-program.ts';

const program = join(import.meta.dirname, 'wrong-arguments-process.ts');
const SEED = 20_260_101;

/**
 * What it says and how it ends, in a process of its own: a native crash would take the tests with it. It is done only when it says so, and it
 * ends by itself, or not at all.
 */
function run(...parameters: string[]): Promise<string> {
  const child = spawn(process.execPath, sourceProgram(program, ...parameters), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve(`${output}${code ?? signal}`));
  });
}

describe('wrong arguments end neither the process nor anything but their call', () => {
  it.each([
    ['clusters', 150],
    ['clients', 50],
    ['methods', 1_000],
  ])(
    'of %s',
    async (what, runs) => {
      expect(await run(what, String(runs), String(SEED))).toBe('done\n0');
    },
    60_000,
  );
});
