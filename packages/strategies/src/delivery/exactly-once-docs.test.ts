import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { exactlyOnceMigration } from '../index.ts';

describe('docs/exactly-once.md', () => {
  it('has the migration as it is', () => {
    const docs = readFileSync(new URL('../../../../docs/exactly-once.md', import.meta.url), 'utf8');
    expect(docs).toContain(exactlyOnceMigration().trimEnd());
  });
});
