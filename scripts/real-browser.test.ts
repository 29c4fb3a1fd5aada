import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { findRealBrowser } from './real-browser.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A path with nothing on it but these programs, each with the code that it ends with. */
function pathWith(programs: Readonly<Record<string, number>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-browser-'));
  directories.push(directory);
  for (const [name, code] of Object.entries(programs))
    writeFileSync(join(directory, name), `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
  return directory;
}

const say = (): void => {};
const install = (): Promise<void> => Promise.reject(new Error('it needs root'));

it('is the one that is named, and a failure when that does not run', async () => {
  const PATH = pathWith({ mine: 0, broken: 1 });
  expect(await findRealBrowser({ say, install, env: { PATH, CHROMIUM: 'mine' } })).toMatchObject({
    env: { CHROMIUM: join(PATH, 'mine') },
  });
  for (const CHROMIUM of ['broken', 'missing', '/no/such/chromium'])
    expect(await findRealBrowser({ say, install, env: { PATH, CHROMIUM } })).toEqual({
      failed: expect.stringContaining(`CHROMIUM=${CHROMIUM} is no Chromium that runs`),
    });
});

it('is the one of this machine, which is not installed again', async () => {
  const PATH = pathWith({ chromium: 1, 'google-chrome': 0 });
  expect(await findRealBrowser({ say, install, env: { PATH } })).toMatchObject({
    env: { CHROMIUM: join(PATH, 'google-chrome') },
  });
});

it('is installed where it is missing', async () => {
  const PATH = pathWith({});
  const said: string[] = [];
  const found = await findRealBrowser({
    say: (line) => said.push(line),
    env: { PATH },
    install: async () => writeFileSync(join(PATH, 'chromium'), '#!/bin/sh\n', { mode: 0o755 }),
  });
  expect(found).toMatchObject({ env: { CHROMIUM: join(PATH, 'chromium') } });
  expect(said).toEqual([expect.stringContaining('installing Chromium')]);
});

it('is left out, with the reason, where it cannot be had; in CI that is a failure', async () => {
  const PATH = pathWith({});
  const reason = expect.stringMatching(/it needs root\nOr name a Chromium in CHROMIUM/);
  expect(await findRealBrowser({ say, install, env: { PATH } })).toEqual({ skipped: reason });
  expect(await findRealBrowser({ say, install, env: { PATH, CI: 'true' } })).toEqual({ failed: reason });
});
