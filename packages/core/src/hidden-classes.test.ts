import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';

const program = fileURLToPath(new URL('./testing/hidden-classes-process.ts', import.meta.url));

describe('engines of one process', () => {
  // Each had parts of hidden classes of its own: from the fourth on, an async handler took twice as long.
  it('have the same hidden classes, so that many are as fast as one', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--allow-natives-syntax', program, '30'],
      { timeout: 110_000 },
    );
    const classes = new Map(Object.entries(JSON.parse(stdout) as Record<string, number>));
    expect([...classes.keys()]).toEqual(expect.arrayContaining(['engine', 'engine.dispatcher', 'engine.outcomes']));
    // The first time that a literal is made it may have a class that later ones do not have.
    expect([...classes].filter(([, count]) => count > 2)).toEqual([]);
  }, 120_000);
});
