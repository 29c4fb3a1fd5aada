import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { root } from './child.ts';
import { kafkaVersion } from './kafka-jars.ts';
import { defaultPorts } from './kafka-ports.ts';
import { brokerProperties } from './kafka-properties.ts';

const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8');

describe('docker-compose.yml', () => {
  it('starts the Kafka that the tests run on', () => {
    expect(compose).toContain(`image: apache/kafka:${kafkaVersion}\n`);
  });

  it('sets the broker as the tests set theirs, addresses and directories apart', () => {
    // The image takes KAFKA_A_B for a.b.
    const settings = Array.from(
      compose.matchAll(/^ +KAFKA_(\w+): "?([^"\n]*)"?$/gm),
      ([, name = '', value]) => [name.toLowerCase().replaceAll('_', '.'), value] as const,
    );
    expect(new Map(settings.filter(isTuning))).toEqual(new Map(testSettings().filter(isTuning)));
  });
});

function testSettings(): (readonly [string, string])[] {
  const lines = brokerProperties(1, defaultPorts(1), '/data').trimEnd().split('\n');
  return lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);
}

function isTuning([name]: readonly [string, string | undefined]): boolean {
  return !/listener|quorum|^log\.dirs$/.test(name);
}
