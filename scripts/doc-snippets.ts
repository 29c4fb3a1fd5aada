import { join } from 'node:path';
import ts from 'typescript';
import { root } from './child.ts';
import type { Doc } from './doc-references.ts';

/** From there the packages are found by name, and `./main.ts` is what the README quotes. */
const FOLDER = join(root, 'examples', '01-simple-worker');
/** From there also pino, which no example logs with. */
const PINO_FOLDER = join(root, 'packages', 'observability', 'src');

const asError = {
  onUnRecoverableConfigFileDiagnostic({ messageText }: ts.Diagnostic): void {
    throw new Error(ts.flattenDiagnosticMessageText(messageText, ' '));
  },
};

/** What does not compile among the blocks marked `ts`, each of them a module of its own. Quotes compile where they come from. */
export function brokenSnippets(docs: readonly Doc[]): string[] {
  const snippets = new Map<string, { readonly doc: Doc; readonly line: number; readonly code: string }>();
  for (const doc of docs) {
    const written = doc.text.replaceAll(/<!-- from .*?<!-- end -->/gs, (quote) => quote.replaceAll(/[^\n]/g, ''));
    for (const match of written.matchAll(/^```ts\n(.*?)^```$/gms)) {
      const line = written.slice(0, match.index).split('\n').length + 1;
      const folder = match[1]?.includes("'pino'") === true ? PINO_FOLDER : FOLDER;
      snippets.set(join(folder, `snippet-${snippets.size}.ts`), { doc, line, code: `${match[1]}\nexport {};\n` });
    }
  }
  if (snippets.size === 0) return [];
  const project = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.json'), {}, { ...ts.sys, ...asError });
  const options: ts.CompilerOptions = { ...project?.options, declaration: false, isolatedDeclarations: false };
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (file) => snippets.has(file) || disk.fileExists(file),
    readFile: (file) => snippets.get(file)?.code ?? disk.readFile(file),
    getSourceFile: (file, version, ...rest) => {
      const snippet = snippets.get(file);
      return snippet === undefined
        ? disk.getSourceFile(file, version, ...rest)
        : ts.createSourceFile(file, snippet.code, version);
    },
  };
  const program = ts.createProgram([...snippets.keys()], options, host);
  return [...snippets].flatMap(([file, { doc, line }]) => {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ start = 0, messageText }) => {
      const at = source === undefined ? 0 : source.getLineAndCharacterOfPosition(start).line;
      return `${doc.path}:${line + at}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
  });
}
