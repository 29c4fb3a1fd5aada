// Before a run of Jest: bundles every program that tests start in processes of its own, all at once, in half a CPU second. From source each of these
// processes would take one and a half to load its modules. Where the bundles are is said in KAFKA_TS_WORKER_PROGRAMS, which sourceProgram() reads.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

export default async function bundlePrograms() {
  const directory = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-programs-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  await build({
    ...{
      absWorkingDir: root,
      entryPoints: programs(),
      outdir: directory,
      outbase: root,
      outExtension: { '.js': '.mjs' },
    },
    ...{ bundle: true, splitting: true, keepNames: true, logLevel: 'warning' },
    ...{ format: 'esm', platform: 'node', target: 'node20', conditions: ['@kafka-worker/source'] },
    define: { 'import.meta.url': 'ownUrl', 'import.meta.dirname': 'ownDirectory' },
    plugins: [{ name: 'as-in-its-place', setup: asInItsPlace }],
  });
  process.env.KAFKA_TS_WORKER_PROGRAMS = directory;
}

/** Whatever may be started: scripts, examples, benchmarks, the command, and what is called `…-process.ts`. */
function programs() {
  const within = (path, recursive) => readdirSync(join(root, path), { recursive }).map((name) => join(path, name));
  const isSource = (file) => /(?<!\.test|\.d)\.ts$/.test(file);
  const packages = readdirSync(join(root, 'packages')).flatMap((name) => within(`packages/${name}/src`, true));
  const benchmarks = readdirSync(join(root, 'bench'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
    .flatMap(({ name }) => within(`bench/${name}`, true));
  return [
    ...['scripts', 'examples', 'bench'].flatMap((path) => within(path, false)).filter(isSource),
    ...[...packages, ...benchmarks].filter((file) => file.endsWith('-process.ts')),
    'packages/core/src/bin/kafka-worker.ts',
  ];
}

/** A module is still where it was, for itself and for the packages that it imports. */
function asInItsPlace({ onResolve, onLoad, resolve }) {
  onResolve({ filter: /^[^./]/ }, async ({ path, kind, resolveDir, pluginData }) => {
    if (kind === 'entry-point' || pluginData?.isOurs || path.startsWith('@kafka-worker/')) return undefined;
    const found = path.startsWith('node:')
      ? undefined
      : await resolve(path, { kind, resolveDir, pluginData: { isOurs: true } });
    // What is not installed is not found where it is imported, if ever it is.
    const isFile = found !== undefined && found.errors.length === 0 && found.namespace === 'file' && !found.external;
    return { path: isFile ? pathToFileURL(found.path).href : path, external: true };
  });
  onLoad({ filter: /\.ts$/ }, ({ path }) => {
    const own = `const ownUrl = ${JSON.stringify(pathToFileURL(path).href)}, ownDirectory = ${JSON.stringify(dirname(path))};`;
    // On the first line that is no `#!`, so that the others keep their numbers.
    const contents = readFileSync(path, 'utf8').replace(/^(#!.*\n)?/, (interpreter) => `${interpreter}${own}`);
    return { loader: 'ts', contents };
  });
}
