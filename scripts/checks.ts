import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './child.ts';

/** One thing that must hold of the repository beside its tests; counts as one in the closing line of `npm test`. */
export interface Check {
  readonly name: string;
  readonly run: () => Promise<number | string>;
}

/** Every check, cheap ones first. */
export const checks: readonly Check[] = [
  {
    name: 'format and lint (biome)',
    run: () =>
      run('biome', ['ci', '--error-on-warnings', process.stdout.isTTY ? '--colors=force' : '--colors=off', '.']),
  },
  // One pass of the native type checker for both: the compiler and a lint in JavaScript take ten times as long.
  { name: 'types and typed lint (oxlint)', run: () => run('oxlint', []) },
  { name: "types of the board's page (tsc)", run: () => run('tsc', ['-p', 'packages/observability/page']) },
  {
    name: "the board's page as it is served (embed-page)",
    run: () => run(process.execPath, ['--import', 'tsx', 'scripts/embed-page.ts', '--check']),
  },
  { name: 'dead code and dependencies (knip)', run: () => run('knip', ['--no-progress']) },
  { name: 'docstrings (typedoc)', run: () => run('typedoc', []) },
  {
    name: 'documentation (sync-docs)',
    run: () => run(process.execPath, ['--import', 'tsx', 'scripts/sync-docs.ts', '--check']),
  },
  {
    name: 'build (tsdown)',
    run: () => run('turbo', ['run', 'build', '--ui=stream'], { env: { TURBO_TELEMETRY_DISABLED: '1' } }),
  },
  { name: 'published packages (publint, attw)', run: checkPublishedPackages },
];

/** Looks at the packages as npm would serve them: packed, with `publishConfig` applied. */
async function checkPublishedPackages(): Promise<number | string> {
  const tarballs = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-pack-'));
  try {
    for (const name of readdirSync(join(root, 'packages'))) {
      const cwd = join(root, 'packages', name);
      const packed = await run('pnpm', ['pack', '--pack-destination', tarballs], { cwd });
      if (packed !== 0) return packed;
    }
    for (const name of readdirSync(tarballs)) {
      const tarball = join(tarballs, name);
      const linted = await run('publint', ['run', tarball, '--strict']);
      if (linted !== 0) return linted;
      // node10 knows no subpath exports; every Node that we support does.
      const resolved = await run('attw', [tarball, '--profile', 'node16', '--format', 'ascii']);
      if (resolved !== 0) return resolved;
    }
    return 0;
  } finally {
    rmSync(tarballs, { recursive: true, force: true });
  }
}
