import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { archivedClasses, archivingClasses } from './tool-classes.ts';

describe('the classes of Kafka’s tools', () => {
  let cache: string;
  let jars: string;
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-classes-'));
    jars = join(cache, 'kafka-1.2.3');
  });
  afterEach(() => rmSync(cache, { recursive: true }));

  const partOf = (options: readonly string[]): string =>
    options.map((one) => /^-XX:ArchiveClassesAtExit=(.+)$/.exec(one)?.[1]).find((path) => path !== undefined) ?? '';

  it('are archived by the first tool, and read from there by the next one', () => {
    expect(archivedClasses(jars)).toEqual([]);
    const first = archivingClasses(jars);
    writeFileSync(partOf(first.options), 'classes');
    expect(archivedClasses(jars)).toEqual([]);
    first.ended();
    expect(archivedClasses(jars)).toContain(`-XX:SharedArchiveFile=${jars}-tools.jsa`);
    expect(archivingClasses(jars).options).toEqual([]);
  });

  it('are archived once when several tools run at the same time, and nothing else is left', () => {
    const both = [archivingClasses(jars), archivingClasses(jars)];
    expect(new Set(both.map(({ options }) => partOf(options))).size).toBe(2);
    for (const { options, ended } of both) {
      writeFileSync(partOf(options), 'classes');
      ended();
    }
    expect(readdirSync(cache)).toEqual(['kafka-1.2.3-tools.jsa']);
  });

  it('are left alone by a tool that made no archive', () => {
    archivingClasses(jars).ended();
    expect(existsSync(`${jars}-tools.jsa`)).toBe(false);
  });
});
