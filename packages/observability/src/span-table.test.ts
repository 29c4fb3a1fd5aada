import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import * as conventions from '@opentelemetry/semantic-conventions/incubating';
import { spanAttributes, spanConventions } from './span-table.ts';

const require = createRequire(import.meta.url);
const packageFile = join(dirname(require.resolve('@opentelemetry/semantic-conventions')), '..', 'package.json');
const ours = 'kafka_worker.';

describe('the names of span attributes', () => {
  const foreign = Object.values(spanAttributes).filter(({ name }) => !name.startsWith(ours));

  it('are those of the conventions, in the version that the table says', () => {
    const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
    expect(version).toBe(spanConventions.version);
    const known = new Set<unknown>(Object.values(conventions));
    expect(foreign.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([]);
    expect(foreign.length).toBeGreaterThan(5);
  });

  it('are none that the conventions have given up', () => {
    const declarations = ['experimental', 'stable']
      .map((kind) => readFileSync(join(dirname(packageFile), 'dist', `${kind}_attributes.d.mts`), 'utf8'))
      .join('\n');
    const isDeprecated = (name: string): boolean => {
      const at = declarations.indexOf(`: "${name}";`);
      const comment = declarations.slice(declarations.lastIndexOf('/**', at), at);
      return comment.includes('@deprecated');
    };
    expect(isDeprecated('messaging.system')).toBe(true);
    expect(foreign.map(({ name }) => name).filter(isDeprecated)).toEqual([]);
  });
});
