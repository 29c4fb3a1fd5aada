import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UserConfig } from 'tsdown';
import { preset } from '../../tsdown.preset.ts';

const bundled = [/^@platformatic\/(?:kafka|dynamic-buffer|wasm-utils)$/, 'fastq', 'reusify', 'debug', 'ms'];

/**
 * Puts the part of @platformatic/kafka that is used into the two modules that import it, in the place of what the other configuration has written there:
 * the package has one entry, which loads all of its clients, and these compile schemas for half a second.
 */
const config: UserConfig = {
  ...preset,
  entry: {
    'confluent/direct/kafka-codecs': 'src/confluent/direct/kafka-codecs.ts',
    'confluent/direct/kafka-connection': 'src/confluent/direct/kafka-connection.ts',
  },
  ...{ unbundle: false, dts: false, clean: false },
  outputOptions: (options, format) => ({
    ...options,
    chunkFileNames: `confluent/direct/kafka-shared.${format === 'cjs' ? 'cjs' : 'mjs'}`,
  }),
  deps: {
    // What else a newer version might want has to be looked at first.
    onlyBundle: bundled,
    alwaysBundle: [/^@platformatic\//],
    // Both are loaded from where they are installed, if they are.
    neverBundle: ['supports-color', '@node-rs/crc32'],
  },
  // Loading it does nothing but make what it exports: what is not used may go, its schemas above all.
  treeshake: { moduleSideEffects: false, manualPureFunctions: ['Ajv2020', 'ajv', 'createAPI'] },
  plugins: [
    {
      name: 'codecs-inside',
      // Its other entry looks for a file beside itself.
      resolveId(source, importer) {
        return source === '@platformatic/wasm-utils' ? this.resolve(`${source}/bundled`, importer) : undefined;
      },
    },
    {
      name: 'licenses',
      generateBundle(_, bundle) {
        const ids = Object.values(bundle).flatMap((output) => (output.type === 'chunk' ? output.moduleIds : []));
        const source = licensesOf(ids);
        this.emitFile({ type: 'asset', fileName: 'confluent/direct/kafka-licenses.txt', source });
      },
    },
  ],
};
export default config;

/** The licence of each package that one of these modules is from. */
function licensesOf(modules: readonly string[]): string {
  const directories = new Set(modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]));
  const texts = [...directories]
    .filter((directory) => directory !== undefined)
    .sort()
    .map((directory) => {
      const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Record<string, unknown>;
      const { name, version, license } = manifest as { name: string; version: string; license: string };
      const file = readdirSync(directory).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
      if (file === undefined) throw new Error(`${name} is bundled, and has no licence in it`);
      return `${name} ${version} (${license})\n\n${readFileSync(join(directory, file), 'utf8').trim()}\n`;
    });
  const head = 'Parts of these packages are in kafka-connection, kafka-codecs and kafka-shared.\n';
  return [head, ...texts].join(`\n${'-'.repeat(80)}\n\n`);
}
