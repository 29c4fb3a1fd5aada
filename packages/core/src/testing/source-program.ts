import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const root = join(import.meta.dirname, '..', '..', '..', '..');

/**
 * Node's arguments for a program of this repository, in TypeScript, and its own after it. A run of Jest has bundled the programs once
 * (`scripts/bundle-programs.ts`) and names the directory in `KAFKA_TS_WORKER_PROGRAMS`: loading one from source, module by module through tsx, costs
 * each process more than a CPU second. Without such a run it is loaded from source.
 *
 * @throws Error when there is a directory and the program is not in it
 */
export function sourceProgram(file: string, ...args: readonly string[]): string[] {
  const bundles = process.env.KAFKA_TS_WORKER_PROGRAMS;
  if (bundles === undefined) return ['--import', 'tsx', '--conditions=@kafka-worker/source', file, ...args];
  const path = relative(root, resolve(root, file));
  const bundle = join(bundles, path.replace(/\.ts$/, '.mjs'));
  if (!existsSync(bundle)) throw new Error(`${path} is not among the programs that scripts/bundle-programs.ts bundles`);
  return [bundle, ...args];
}
