// node --import tsx scripts/sync-docs.ts [--check]: copies what docs quote from source files into them.
// A quote stands between `<!-- from PATH -->` (or `PATH#NAME`, from `// #region NAME` to `// #endregion`) and `<!-- end -->`; a table of metrics, spans
// or log lines between `<!-- table NAME -->` and `<!-- end -->`.
// --check writes nothing and fails when a quote differs, an example does not compile, or a link, a file or a test that is named does not exist.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { root } from './child.ts';
import { readCommandLine, reportFailure } from './command-line.ts';
import { brokenReferences, filesBelow } from './doc-references.ts';
import { brokenSnippets } from './doc-snippets.ts';
import { missingTests } from './named-tests.ts';
import { telemetryTables } from './telemetry-tables.ts';

const usage = 'node --import tsx scripts/sync-docs.ts [--check]';
const options = { check: { type: 'boolean', default: false } } as const;

try {
  const problems = syncDocs(readCommandLine({ usage, options }, process.argv.slice(2)).values.check);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
} catch (error) {
  reportFailure(error);
}

function syncDocs(isCheck: boolean): string[] {
  const docs = [...readdirSync(root), ...filesBelow(['docs', 'packages', 'examples'])].filter((file) =>
    file.endsWith('.md'),
  );
  const problems: string[] = [];
  for (const doc of docs) {
    const file = join(root, doc);
    const text = readFileSync(file, 'utf8');
    const synced = withTables(doc, withQuotes(doc, text));
    if (synced === text) continue;
    if (isCheck)
      problems.push(
        `${doc} differs from what it quotes, or from the tables: run node --import tsx scripts/sync-docs.ts`,
      );
    else {
      writeFileSync(file, synced);
      console.log(`written: ${doc}`);
    }
  }
  if (!isCheck) return problems;
  const read = docs.map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
  return [...problems, ...brokenReferences(read), ...missingTests(read), ...brokenSnippets(read)];
}

function withQuotes(doc: string, text: string): string {
  return text.replaceAll(/<!-- from (\S+) -->\n.*?<!-- end -->/gs, (_all, source: string) => {
    const [path = '', region] = source.split('#');
    const code = quoted(doc, path, region);
    return `<!-- from ${source} -->\n\`\`\`${extname(path).slice(1)}\n${code}\n\`\`\`\n<!-- end -->`;
  });
}

function withTables(doc: string, text: string): string {
  return text.replaceAll(/<!-- table (\S+) -->\n.*?<!-- end -->/gs, (_all, name: string) => {
    const made = Object.hasOwn(telemetryTables, name) ? telemetryTables[name]?.() : undefined;
    if (made === undefined)
      throw new Error(`${doc}: there is no table ${name} (there are ${Object.keys(telemetryTables).join(', ')})`);
    return `<!-- table ${name} -->\n${made}\n<!-- end -->`;
  });
}

/** A region of a file without its common indent, or the whole file. */
function quoted(doc: string, path: string, region: string | undefined): string {
  const text = readFileSync(join(root, path), 'utf8');
  if (region === undefined) return text.trimEnd();
  const lines = text.split('\n');
  const first = lines.findIndex((line) => line.trim() === `// #region ${region}`) + 1;
  const length = lines.slice(first).findIndex((line) => line.trim() === '// #endregion');
  if (first === 0 || length < 0) throw new Error(`${doc}: ${path} has no region ${region}`);
  const body = lines.slice(first, first + length);
  const indent = Math.min(...body.filter((line) => line !== '').map((line) => line.search(/\S/)));
  return body.map((line) => line.slice(indent)).join('\n');
}
