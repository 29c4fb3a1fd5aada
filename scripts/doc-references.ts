import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './child.ts';

/** A page of the documentation, its path from the checkout. */
export interface Doc {
  readonly path: string;
  readonly text: string;
}

/** Files of the repository itself, their paths from the checkout. */
export function filesBelow(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => !/(^|\/)(node_modules|dist)\//.test(file))
      .map((file) => `${folder}/${file}`)
      .sort(),
  );
}

/** Links and source files that docs name and that do not exist: `engine.ts` may lie anywhere, `confluent/seek.ts` in any folder of that name. */
export function brokenReferences(docs: readonly Doc[]): string[] {
  const files = filesBelow(['packages', 'examples', 'bench', 'scripts']);
  const isThere = (name: string): boolean => files.some((file) => file === name || file.endsWith(`/${name}`));
  const isPlaceholder = (name: string): boolean => /^(x\.|\.\/)|NN/.test(name);
  return docs.flatMap(({ path, text }) => {
    const prose = text.replaceAll(/^```.*?^```$/gms, '');
    const links = Array.from(prose.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g), ([, link = '']) => link);
    const named = Array.from(prose.matchAll(/`([\w./-]+\.(?:ts|mjs))`/g), ([, name = '']) => name);
    return [
      ...links
        .filter((link) => !existsSync(join(root, dirname(path), link)))
        .map((link) => `${path}: broken link ${link}`),
      ...named.filter((name) => !isPlaceholder(name) && !isThere(name)).map((name) => `${path}: there is no ${name}`),
    ];
  });
}
