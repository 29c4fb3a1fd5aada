import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const files = ['kafka-worker-error', 'errors', 'log-errors', 'handler-errors'];
const source = files.map((name) => read(`./${name}.ts`)).join('\n');
const page = read('../../../docs/errors.md');

const union = /export type ErrorCode =([^;]*);/.exec(source)?.[1] ?? '';
const codes = Array.from(union.matchAll(/'([A-Z_]+)'/g), ([, code]) => code);
/** The code that each error class passes to its base. */
const codeOf = new Map(
  source
    .split(/^export class /m)
    .slice(1)
    .map((text) => [/^\w+/.exec(text)?.[0], /super\(\s*'([A-Z_]+)'/.exec(text)?.[1]]),
);
const rows = Array.from(page.matchAll(/^\| `([A-Z_]+)` \| `(\w+)` \|/gm), ([, code, name]) => ({ code, name }));

describe('docs/errors.md', () => {
  it('has one row for each error code', () => {
    expect(codes.length).toBeGreaterThan(0);
    expect(rows.map(({ code }) => code).sort()).toEqual([...codes].sort());
  });

  it('has no row for anything else', () => {
    expect(rows.filter(({ code }) => !codes.includes(code))).toEqual([]);
    expect(page.match(/^\| `/gm)).toHaveLength(rows.length);
  });

  it('names the class that has the code', () => {
    expect(rows.map(({ name }) => codeOf.get(name))).toEqual(rows.map(({ code }) => code));
  });
});
