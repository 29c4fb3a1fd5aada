import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { sourceProgram } from './source-program.ts';

const program = join(import.meta.dirname, 'quick-closes-process.ts');

describe('clients that are closed in odd moments', () => {
  // A process that does not end by itself has leaked a native client, or has a thread that waits for ever; it is killed then.
  it.each(['1', '2'])(
    'leave the process unharmed: every call and close ends, and so does the process (seed %s)',
    async (seed) => {
      const ending = promisify(execFile)(process.execPath, sourceProgram(program, '30', seed), {
        timeout: 80_000,
        killSignal: 'SIGKILL',
      });
      await expect(ending).resolves.toEqual({ stdout: 'done\n', stderr: '' });
    },
    90_000,
  );
});
