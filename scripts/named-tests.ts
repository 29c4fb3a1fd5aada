import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './child.ts';
import { type Doc, filesBelow } from './doc-references.ts';

/** What a column is called whose cells have to name tests. */
const COLUMN = 'shown by';

/** Tests that docs name, as `` `x.test.ts`: "its title" ``, and that do not exist (any more); and tables that promise a proof and name none. */
export function missingTests(docs: readonly Doc[]): string[] {
  const files = filesBelow(['packages', 'examples', 'bench', 'scripts']).filter((file) => file.endsWith('.ts'));
  const titles = new Map<string, ReadonlySet<string>>();
  const titlesIn = (file: string): ReadonlySet<string> => {
    const known = titles.get(file) ?? titlesOf(readFileSync(join(root, file), 'utf8'));
    titles.set(file, known);
    return known;
  };
  return docs.flatMap(({ path, text }) => [
    ...namedTests(text).flatMap(({ file, title }) => {
      const found = files.filter((one) => one === file || one.endsWith(`/${file}`));
      if (found.length === 0) return [`${path}: there is no ${file}`];
      return found.some((one) => titlesIn(one).has(title)) ? [] : [`${path}: ${file} has no test "${title}"`];
    }),
    ...rowsWithoutProof(text).map((row) => `${path}: names no test where it says what is ${COLUMN}: ${row}`),
  ]);
}

/** `` `x.test.ts`: "one title", "another" ``. */
export function namedTests(text: string): readonly { readonly file: string; readonly title: string }[] {
  return Array.from(text.matchAll(/`([\w./-]+\.ts)`: ("[^"\n]+"(?:, "[^"\n]+")*)/g)).flatMap(
    ([, file = '', all = '']) => Array.from(all.matchAll(/"([^"]+)"/g), ([, title = '']) => ({ file, title })),
  );
}

/** The titles of tests and groups of tests that run, as they are written: with `%s` where a table fills it in. */
export function titlesOf(source: string): ReadonlySet<string> {
  const titles = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const [title, body] = node.arguments;
      const isTest = body !== undefined && (ts.isArrowFunction(body) || ts.isFunctionExpression(body));
      const isSkipped = /\.(skip|todo)(\.each\b.*)?$/s.test(node.expression.getText());
      if (isTest && !isSkipped && title !== undefined && ts.isStringLiteralLike(title)) titles.add(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('test.ts', source, ts.ScriptTarget.Latest, true));
  return titles;
}

function rowsWithoutProof(text: string): string[] {
  const rows: string[] = [];
  let column = -1;
  for (const line of text.split('\n')) {
    const cells = line.startsWith('|') ? line.split(/(?<!\\)\|/).map((cell) => cell.trim()) : [];
    if (cells.length === 0) column = -1;
    else if (column < 0) column = cells.indexOf(COLUMN);
    else if (!/^-+$/.test(cells[column] ?? '') && namedTests(cells[column] ?? '').length === 0)
      rows.push(cells[1] ?? '');
  }
  return rows;
}
