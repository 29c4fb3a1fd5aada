import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
// biome-ignore lint/correctness/useImportExtensions: its types are beside it, in a file of their own
import { installDebianPackages, missingDebianPackages } from './debian-packages.mjs';
import type { FindRealTierOptions, RealTier } from './real-tier.ts';

/** What Chromium is called, by who packages it. */
const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
/** Debian's. The fonts are only recommended, and without any a page has no text. */
const debianPackages = ['chromium', 'fonts-dejavu-core'];
const NAME_IT = 'Or name a Chromium in CHROMIUM.';

/** How to look for a browser. */
export interface FindBrowserOptions extends Omit<FindRealTierOptions, 'withoutRealKafka' | 'signal'> {
  /** @defaultValue Debian's package manager, where this process may use it */
  readonly install?: () => Promise<void>;
}

/** The Chromium that is named in `CHROMIUM`, the one of this machine, or Debian's, which is installed when it is missing. Never rejects. */
export async function findRealBrowser({ say, env = process.env, install }: FindBrowserOptions): Promise<RealTier> {
  const named = env.CHROMIUM;
  if (named) {
    const path = pathOf(named, env);
    return path !== undefined
      ? tierOf(path)
      : { failed: `CHROMIUM=${named} is no Chromium that runs: ${named} --version fails` };
  }
  try {
    const found = firstOf(programs, env);
    if (found !== undefined) return tierOf(found);
    say('installing Chromium, for the tests of the page that a worker serves (about 400 MB) …');
    await (install ?? installChromium)();
    const installed = firstOf(programs, env);
    if (installed !== undefined) return tierOf(installed);
    throw new Error('chromium was installed, but chromium --version fails.');
  } catch (error) {
    const reason = `${error instanceof Error ? error.message : String(error)}\n${NAME_IT}`;
    return env.CI ? { failed: reason } : { skipped: reason };
  }
}

function tierOf(path: string): RealTier {
  return { env: { CHROMIUM: path }, stop: async () => {} };
}

function firstOf(names: readonly string[], env: NodeJS.ProcessEnv): string | undefined {
  for (const name of names) {
    const path = pathOf(name, env);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** Where a program is that runs: who starts it for the tests wants a path. */
function pathOf(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const directories = name.includes('/') ? [''] : (env.PATH ?? '').split(delimiter);
  const paths = directories.map((directory) => (directory === '' ? name : join(directory, name)));
  return paths.find(
    (path) =>
      existsSync(path) && spawnSync(path, ['--version'], { stdio: 'ignore', env, timeout: 20_000 }).status === 0,
  );
}

async function installChromium(): Promise<void> {
  const missing = missingDebianPackages(debianPackages);
  if (missing === undefined)
    throw new Error(
      'the page that a worker serves is tested in a Chromium, and there is none, nor a Debian to get one from.',
    );
  await installDebianPackages(missing, {
    title: `installing ${missing.join(' ')}`,
    otherwise: 'the page that a worker serves is tested in a Chromium, and there is none.',
  });
}
