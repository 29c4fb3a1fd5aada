import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const program = join(import.meta.dirname, 'quick-closes-process.ts');

describe('clients that are closed in odd moments', () => {
  it('leave the process unharmed, and every call and close ends', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', program, '20', '2'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const done = new Promise<string>((resolve) => {
      child.on('close', (code, signal) => resolve(`${output}ended by ${code ?? signal}`));
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (part: Buffer) => {
          output += part.toString();
          if (output === 'done\n') resolve(output);
        });
      }
    });
    try {
      expect(await done).toBe('done\n');
    } finally {
      child.kill('SIGKILL');
    }
  }, 60_000);
});
