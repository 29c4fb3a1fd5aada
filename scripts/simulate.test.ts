import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { sourceProgram } from '../packages/core/src/testing/source-program.ts';
import { root } from './child.ts';

function simulate(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, sourceProgram('scripts/simulate.ts', ...args), { encoding: 'utf8', cwd: root });
}

describe('npm run simulate', () => {
  it('tells one run line by line, the same each time, and ends with a line of JSON', () => {
    const first = simulate('--runs', '1', '--seed', '7', '--json');
    expect(first).toMatchObject({ status: 0, stderr: '' });
    const lines = first.stdout.trimEnd().split('\n');
    expect(lines).toContain('0 ms: p0 is running');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      runs: 1,
      violations: 0,
      injected: { crash: expect.any(Number) },
    });
    expect(simulate('--runs', '1', '--seed', '7', '--json').stdout).toBe(first.stdout);
  }, 60_000);

  it('refuses what it does not know', () => {
    expect(simulate('--run', '1')).toMatchObject({ status: 2, stderr: expect.stringContaining('--runs') });
    expect(simulate('--runs', 'many')).toMatchObject({ status: 2, stderr: expect.stringContaining('a whole number') });
  }, 60_000);
});
