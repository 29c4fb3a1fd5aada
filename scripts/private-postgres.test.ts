import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { whyNoPostgres } from './postgres-programs.ts';
import { runningPostgres, startPostgres, stopPostgres } from './postgres-server.ts';
import { startPrivatePostgres } from './private-postgres.ts';
import { processIdentity } from './process-identity.ts';
import { findRealPostgres } from './real-postgres.ts';

const here = whyNoPostgres() === undefined ? describe : describe.skip;
const quiet = { say: () => {} };

here('a private PostgreSQL', () => {
  it('answers, is restarted on its port, and leaves nothing behind', async () => {
    const lines: string[] = [];
    const postgres = await startPrivatePostgres((line) => lines.push(line));
    const { url } = postgres;
    expect(lines.join()).toContain(url);
    expect(await findRealPostgres({ ...quiet, env: { POSTGRES_URL: url } })).toMatchObject({ env: {} });
    await postgres.restart('immediate');
    expect(await findRealPostgres({ ...quiet, env: { POSTGRES_URL: url } })).toMatchObject({ env: {} });
    await postgres.stop();
    expect(await findRealPostgres({ ...quiet, env: { POSTGRES_URL: url } })).toEqual({
      failed: `nothing that speaks PostgreSQL answers on POSTGRES_URL=${url}`,
    });
  }, 120_000);

  it('that a killed run has left is stopped and removed by the next one', async () => {
    // No process has that id.
    const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-postgres-99999999-1-'));
    const { pid } = await startPostgres({ directory });
    expect(processIdentity(pid)).toBeDefined();
    const next = await startPrivatePostgres(() => {});
    try {
      expect(existsSync(directory)).toBe(false);
      expect(processIdentity(pid)).toBeUndefined();
    } finally {
      await next.stop();
    }
  }, 120_000);

  it('of a directory is one, however often it is started', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-test-'));
    try {
      const started = await startPostgres({ directory });
      expect(runningPostgres(directory)).toEqual(started);
      expect(await startPostgres({ directory })).toEqual(started);
      expect(await stopPostgres(directory)).toBe(true);
      expect(await stopPostgres(directory)).toBe(false);
    } finally {
      await stopPostgres(directory);
      rmSync(directory, { recursive: true, force: true });
    }
  }, 120_000);
});

describe('a PostgreSQL that is named', () => {
  it('and does not answer is a failure, in which its password does not stand', async () => {
    const env = { POSTGRES_URL: 'postgres://me:secret@127.0.0.1:1/db' };
    expect(await findRealPostgres({ ...quiet, env })).toEqual({
      failed: 'nothing that speaks PostgreSQL answers on POSTGRES_URL=postgres://me:***@127.0.0.1:1/db',
    });
    expect(await findRealPostgres({ ...quiet, env: { POSTGRES_URL: 'nonsense' } })).toMatchObject({
      failed: expect.stringContaining('Invalid URL'),
    });
  });
});
