// It runs before anything is installed, so it uses Node alone.

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { StepError, step } from './step.mjs';

/**
 * Those of these packages that are not installed; `undefined` where there is no dpkg to ask.
 *
 * @param {readonly string[]} names
 * @returns {string[] | undefined}
 */
export function missingDebianPackages(names) {
  if (!isOnPath('dpkg-query') || !isOnPath('apt-get')) return undefined;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const query = spawnSync('dpkg-query', ['-W', '-f=${db:Status-Abbrev} ${Package}\\n', ...names], {
    encoding: 'utf8',
  });
  const installed = new Set(query.stdout.split('\n').flatMap((line) => /^.i\S* +(\S+)/.exec(line)?.[1] ?? []));
  return names.filter((name) => !installed.has(name));
}

/**
 * Installs packages as root, or with a sudo that asks for no password; else a StepError says why and which command a person runs.
 *
 * @param {readonly string[]} names
 * @param {{ readonly title: string, readonly otherwise: string }} words what it is for, and what is wrong without it
 */
export async function installDebianPackages(names, { title, otherwise }) {
  const asRoot = commandPrefixForRoot();
  const command = `apt-get install -y --no-install-recommends ${names.join(' ')}`;
  if (asRoot === undefined)
    throw new StepError(`${otherwise} Install them and run this again:\n  sudo apt-get update && sudo ${command}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = async (what, ...args) => {
    const [program, ...rest] = [...asRoot, 'apt-get', '-o', 'DPkg::Lock::Timeout=120', ...args];
    await step(what, program, rest, env);
  };
  await aptGet('refreshing the list of Debian packages', 'update');
  await aptGet(title, ...['install', '-y', '--no-install-recommends', ...names]);
}

/** How a command is run as root without asking for a password; `undefined` if it cannot be. */
function commandPrefixForRoot() {
  if (process.getuid?.() === 0) return [];
  if (isOnPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
  return undefined;
}

/** @param {string} program */
function isOnPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
