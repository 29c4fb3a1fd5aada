import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { telemetryTables } from './telemetry-tables.ts';

const page = readFileSync(new URL('../docs/metrics-spans-logs.md', import.meta.url), 'utf8');

describe('the page of metrics, spans and log lines', () => {
  it('has each table once, as it is made from what the plugins go by', () => {
    const found = Array.from(page.matchAll(/<!-- table (\S+) -->\n(.*?)\n<!-- end -->/gs), ([, name, body]) => [
      name,
      body,
    ]);
    const made = Object.entries(telemetryTables).map(([name, make]) => [name, make()]);
    expect(found.sort()).toEqual(made.sort());
  });
});
