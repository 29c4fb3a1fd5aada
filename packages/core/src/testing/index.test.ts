import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import * as testing from './index.ts';

describe('@kafka-worker/core/testing', () => {
  it('exports two clusters and a clock', () => {
    expect(Object.keys(testing).sort()).toEqual(['VirtualClock', 'embeddedKafka', 'fakeKafka']);
  });

  it('loads no native code before embeddedKafka is called', () => {
    const index = JSON.stringify(join(import.meta.dirname, 'index.ts'));
    const script = `await import(${index}); console.log(JSON.stringify(process.report.getReport().sharedObjects));`;
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      encoding: 'utf8',
    });
    const loaded = JSON.parse(output) as string[];
    expect(loaded.length).toBeGreaterThan(0);
    expect(loaded.filter((file) => file.endsWith('.node') && !file.includes('esbuild'))).toEqual([]);
  });
});
