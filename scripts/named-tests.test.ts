import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { root } from './child.ts';
import { missingTests, namedTests, titlesOf } from './named-tests.ts';

const doc = (text: string) => [{ path: 'docs/x.md', text }];
const own = '`named-tests.test.ts`: "are found in docs"';

describe('the tests that a page names', () => {
  it('are found in docs', () => {
    const text = 'Shown by `a.test.ts`: "one", "two"; and `b/c.test.ts`: "it\'s 3". See `d.ts`: nothing.';
    expect(namedTests(text)).toEqual([
      { file: 'a.test.ts', title: 'one' },
      { file: 'a.test.ts', title: 'two' },
      { file: 'b/c.test.ts', title: "it's 3" },
    ]);
  });

  it('are missing when their file has no test of that title, or is gone', () => {
    expect(missingTests(doc(own))).toEqual([]);
    expect(missingTests(doc('`scripts/named-tests.test.ts`: "are lost in docs"'))).toEqual([
      'docs/x.md: scripts/named-tests.test.ts has no test "are lost in docs"',
    ]);
    expect(missingTests(doc('`gone.test.ts`: "anything"'))).toEqual(['docs/x.md: there is no gone.test.ts']);
  });

  it('are asked for in each row of a table that says what is shown', () => {
    const table = (cell: string) => doc(`| promised | shown by |\n| --- | --- |\n| much | ${cell} |\n`);
    expect(missingTests(table(own))).toEqual([]);
    expect(missingTests(table('a lot of thought'))).toEqual([
      'docs/x.md: names no test where it says what is shown by: much',
    ]);
  });
});

describe('the titles of a file', () => {
  it('are those of tests and groups that run, as they are written', () => {
    const source = `
      describe.each(all)('of %s', () => {
        it('runs', async () => {});
        (hasBroker ? it : it.skip)('may run', () => {});
        withBroker(\`is
written\`, function () {}, 10);
        it.each([1])(
          'has a table',
          () => {},
        );
        it.skip('does not', () => {});
        it.todo('will');
        expect('no test').toBe('a test');
      });`;
    expect([...titlesOf(source)]).toEqual(['of %s', 'runs', 'may run', 'is\nwritten', 'has a table']);
  });
});

describe('docs/guarantees.md', () => {
  const text = readFileSync(join(root, 'docs', 'guarantees.md'), 'utf8');

  it('names tests that exist, and one for each promise', () => {
    expect(missingTests([{ path: 'docs/guarantees.md', text }])).toEqual([]);
  });

  it.each(['atLeastOnce', 'atMostOnce', 'exactlyOnce', 'exactlyOnceInDatabase'])('has a table for %s', (delivery) => {
    const section = text.split(/^## /m).find((one) => one.split('\n')[0]?.includes(`\`${delivery}(`)) ?? '';
    expect(section).toContain('| shown by |');
    expect(new Set(namedTests(section).map(({ title }) => title)).size).toBeGreaterThan(5);
  });
});
