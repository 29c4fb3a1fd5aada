// node --import tsx scripts/embed-page.ts [--check]: puts the files of the board's page into a module, so that a bundled worker serves it too.
// --check writes nothing and fails when the module is not what the files are.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './child.ts';
import { readCommandLine, reportFailure } from './command-line.ts';

const usage = 'node --import tsx scripts/embed-page.ts [--check]';
const options = { check: { type: 'boolean', default: false } } as const;
const directory = join(root, 'packages/observability/page');
const module = join(root, 'packages/observability/src/board/page-files.ts');

try {
  const { check } = readCommandLine({ usage, options }, process.argv.slice(2)).values;
  const text = embedded();
  if (readFileSync(module, { encoding: 'utf8', flag: 'a+' }) !== text) {
    if (check) {
      console.error(
        'packages/observability/src/board/page-files.ts differs from packages/observability/page: run node --import tsx scripts/embed-page.ts',
      );
      process.exitCode = 1;
    } else writeFileSync(module, text);
  }
} catch (error) {
  reportFailure(error);
}

function embedded(): string {
  const names = readdirSync(directory).filter((name) => /\.(html|css|js|svg)$/.test(name));
  const lines = names
    .sort()
    .map((name) => `  ${JSON.stringify(name)}: ${JSON.stringify(readFileSync(join(directory, name), 'utf8'))},\n`);
  return `// Made from the files in page/ by scripts/embed-page.ts: change those.

/** The files of the page, by name. */
export const pageFiles: Readonly<Record<string, string>> = {
${lines.join('')}};
`;
}
