import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root, run } from '../../scripts/child.ts';
import type { Part } from '../part.ts';
import { median, rounded } from '../statistics.ts';

const ROUNDS = 5;
const table = 'loading, once in a process';
const core = join(root, 'packages', 'core');
const program = fileURLToPath(new URL('./load.mjs', import.meta.url));

interface Load {
  readonly loadMs: number;
  readonly stallMs: number;
}

/** What is loaded: a module, and a function of it that is called. As it is installed, so without a loader. */
const loads: readonly { readonly name: string; readonly of: readonly string[] }[] = [
  {
    name: 'what a direct reader needs, as it is built',
    of: [pathToFileURL(join(core, 'dist/confluent/direct/direct-library.mjs')).href, 'loadDirectLibrary'],
  },
  {
    name: '@platformatic/kafka as a whole',
    of: [pathToFileURL(createRequire(join(core, 'package.json')).resolve('@platformatic/kafka')).href],
  },
];

/** How long does the event loop stand still when the first direct reader of a process starts? */
export const loading: Part = async ({ say, isQuick }) => {
  const env = { TURBO_TELEMETRY_DISABLED: '1' };
  const built = await run('turbo', ['run', 'build', '--filter=@kafka-worker/core', '--output-logs=errors-only'], {
    env,
  });
  if (built !== 0) throw new Error(`@kafka-worker/core cannot be built (${built})`);
  const measured = new Map<string, Load[]>(loads.map(({ name }) => [name, []]));
  for (let round = 1; round <= (isQuick ? 1 : ROUNDS); round++) {
    for (const { name, of } of loads) {
      const load = await loadOnce(of);
      measured.get(name)?.push(load);
      say(`${table}, round ${round}: ${name}: stall of ${Math.round(load.stallMs)} ms`);
    }
  }
  return {
    rows: [...measured].map(([name, all]) => ({
      ...{ table, name, loadMs: rounded(median(all.map(({ loadMs }) => loadMs)), 1) },
      ...{ stallMs: rounded(median(all.map(({ stallMs }) => stallMs)), 1) },
      longestStallMs: rounded(Math.max(...all.map(({ stallMs }) => stallMs)), 1),
    })),
    ratios: {},
  };
};

async function loadOnce(of: readonly string[]): Promise<Load> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...of]);
  return JSON.parse(stdout) as Load;
}
