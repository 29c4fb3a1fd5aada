import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { sourceProgram } from './testing/source-program.ts';

const program = fileURLToPath(new URL('./testing/unwatched-process.ts', import.meta.url));

describe('a failure that nobody watches ends the process, as Node has it,', () => {
  it.each([
    ['worker', ''],
    ['worker', 'signal'],
    ['group', ''],
    ['group', 'signal'],
  ])('of a %s that was started with the options "%s"', async (what, option) => {
    const ended = promisify(execFile)(process.execPath, sourceProgram(program, what, option));
    await expect(ended).rejects.toMatchObject({
      code: 1,
      stdout: `running, ${option === 'signal' ? 'listening' : 'not listening'}\nfailed, 0 listen\n`,
      stderr: expect.stringContaining('no good'),
    });
  });
});
