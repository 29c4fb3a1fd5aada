import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { redriveUsage } from '../bin/redrive-arguments.ts';
import { deadLetterHeaders } from '../dead-letter-message.ts';

const page = readFileSync(new URL('../../../../docs/dead-letters.md', import.meta.url), 'utf8');
const rows = (pattern: RegExp): string[] => Array.from(page.matchAll(pattern), ([, name]) => name ?? '');

describe('docs/dead-letters.md', () => {
  it('has a row for each header of a dead letter, and for nothing else', () => {
    expect(rows(/^\| `(dead-letter\.[^`]*)` \|/gm)).toEqual(Object.values(deadLetterHeaders));
  });

  it('has a row for each flag that the command tells about', () => {
    const told = Array.from(redriveUsage.matchAll(/^ {2}(--[a-z-]+)/gm), ([, flag]) => flag);
    expect([...rows(/^\| `(--[a-z-]+)/gm), '--help']).toEqual(told);
  });
});
