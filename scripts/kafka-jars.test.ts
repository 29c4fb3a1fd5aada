import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type FakeJava, fakeJava } from './fake-java.ts';
import { missingForKafka, whyNoKafka } from './kafka-jars.ts';
import { findRealTier } from './real-tier.ts';

describe('what Kafka needs of this machine', () => {
  let java: FakeJava | undefined;
  afterEach(() => {
    java?.remove();
    java = undefined;
  });
  const withJava = (version: string): NodeJS.ProcessEnv => {
    java = fakeJava({ version });
    const { KAFKA_BROKERS: _, CI: __, ...env } = java.env;
    return env;
  };

  it.each(['17', '17.0.15', '21.0.2', '25-ea'])('takes Java %s', (version) => {
    expect(whyNoKafka(withJava(version))).toBeUndefined();
  });

  it.each([
    ['1.8.0_392', 'Java 8'],
    ['11.0.24', 'Java 11'],
    ['16.0.2', 'Java 16'],
  ])('refuses Java %s and says which is needed and how to get it', (version, name) => {
    const env = withJava(version);
    expect(missingForKafka(env)).toEqual(['openjdk-17-jre-headless']);
    expect(whyNoKafka(env)).toBe(
      `a local Kafka needs Java 17 or newer; the java on the PATH is ${name}. ` +
        'On Debian: sudo apt-get update && sudo apt-get install openjdk-17-jre-headless',
    );
  });

  it('names both packages where there is neither Java nor Maven', () => {
    const empty = mkdtempSync(join(tmpdir(), 'kafka-ts-worker-none-'));
    const reason = whyNoKafka({ PATH: empty, XDG_CACHE_HOME: empty });
    rmSync(empty, { recursive: true });
    expect(reason).toMatch(/needs Java 17 or newer and Maven\. .* openjdk-17-jre-headless maven$/);
  });

  it('leaves the real tier out with a Java that is too old, which in CI is a failure', async () => {
    const env = withJava('11.0.24');
    const find = (more: NodeJS.ProcessEnv) =>
      findRealTier({ withoutRealKafka: false, say: () => {}, env: { ...env, ...more } });
    expect(await find({})).toEqual({ skipped: expect.stringContaining('is Java 11') });
    expect(await find({ CI: 'true' })).toEqual({ failed: expect.stringContaining('is Java 11') });
  });
});
