import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { root } from './child.ts';
import { withDirectoryLock } from './directory-lock.ts';
import { processIdentity } from './process-identity.ts';

describe('the lock of a directory', () => {
  let directory: string;
  let other: ChildProcess;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-lock-'));
    other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { stdio: 'ignore' });
  });
  afterEach(() => {
    other.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  const plant = (identity: string): void => writeFileSync(join(directory, `busy-${identity}`), '');

  it('waits for the process that has it, also when that one is killed', async () => {
    plant(processIdentity(other.pid) ?? 'none');
    const order: string[] = [];
    const onWait = (pid: number): void => {
      expect(pid).toBe(other.pid);
      order.push('waits');
      other.kill('SIGKILL');
    };
    await withDirectoryLock(directory, async () => order.push('works'), { onWait });
    expect(order).toEqual(['waits', 'works']);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is not held by a process that only got the id of the one that held it', async () => {
    plant(`${other.pid}-1`);
    await withDirectoryLock(directory, async () => {}, { onWait: () => expect(true).toBe(false) });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is given back when the work fails', async () => {
    const failing = withDirectoryLock(directory, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(readdirSync(directory)).toEqual([]);
  });

  it('stops waiting when it is told to', async () => {
    plant(processIdentity(other.pid) ?? 'none');
    const told = new AbortController();
    const onWait = (): void => told.abort(new Error('enough'));
    const waiting = withDirectoryLock(directory, async () => 'worked', { signal: told.signal, onWait });
    await expect(waiting).rejects.toThrow();
  });

  it('lets one process at a time work', async () => {
    const counter = join(directory, 'counter');
    writeFileSync(counter, '0');
    // Reading, waiting and writing loses an addition whenever two are at it.
    const program = `
      import { readFileSync, writeFileSync } from 'node:fs';
      import { withDirectoryLock } from './scripts/directory-lock.ts';
      for (let round = 0; round < 5; round += 1) {
        await withDirectoryLock(${JSON.stringify(directory)}, async () => {
          const count = Number(readFileSync(${JSON.stringify(counter)}, 'utf8'));
          await new Promise((resolve) => setTimeout(resolve, 5));
          writeFileSync(${JSON.stringify(counter)}, String(count + 1));
        });
      }`;
    const node = ['--import', 'tsx', '--input-type=module', '-e', program];
    const ended = Array.from({ length: 3 }, () => {
      const child = spawn(process.execPath, node, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
      return new Promise((resolve) => child.once('close', resolve));
    });
    expect(await Promise.all(ended)).toEqual([0, 0, 0]);
    expect(readFileSync(counter, 'utf8')).toBe('15');
  });
});
