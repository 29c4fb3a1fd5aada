import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const program = join(import.meta.dirname, 'quick-closes-process.ts');

describe('clients that are closed in odd moments', () => {
  it('let the process end by itself, and well', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', program, '30', '1'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part.toString()));
    const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
    expect([await ended, output]).toEqual([0, 'done\n']);
  }, 90_000);
});
