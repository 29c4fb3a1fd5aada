import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const examples = join(import.meta.dirname, '..');
const folders = readdirSync(examples).filter((name) => /^\d\d-/.test(name));
const readme = readFileSync(join(examples, '..', 'README.md'), 'utf8');

describe.each(folders)('the card of %s', (folder) => {
  const card = readFileSync(join(examples, folder, 'README.md'), 'utf8');

  it.each(['order', 'on failure', 'speed', 'idempotence needed', 'use it when'])('says: %s', (row) => {
    const line = card.split('\n').find((each) => each.startsWith(`| ${row}`)) ?? '';
    expect(line.split('|')[2]?.trim()).not.toBe('');
    expect(line).not.toBe('');
  });

  it('stands in the table of the README', () => {
    expect(readme).toContain(`](examples/${folder}/README.md) |`);
  });
});
