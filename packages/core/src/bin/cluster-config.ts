import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConfluentKafkaOptions } from '../confluent/index.ts';
import { toError } from '../kafka-worker-error.ts';
import { UsageError } from './usage-error.ts';

/** A member that was killed keeps its partitions for so long: the next run shall not wait for them for librdkafka's default of 45 s. */
const SESSION_TIMEOUT_MS = 10_000;

/** What librdkafka reads from files by itself. */
const FILE_PROPERTIES = [
  ...['ssl.ca.location', 'ssl.certificate.location', 'ssl.key.location', 'ssl.keystore.location', 'ssl.crl.location'],
];

type Fields = Readonly<Record<string, unknown>>;

/**
 * Options of `confluentKafka` from a JSON file; names of files in it are relative to it. `brokers` overrules what the file has.
 * @throws UsageError when the file cannot be read, or is not what it should be
 */
export function readClusterConfig(
  file: string | undefined,
  brokers: readonly string[] | undefined,
): ConfluentKafkaOptions {
  const config = file === undefined ? {} : readJson(file);
  const { tls, sasl, librdkafka } = config;
  const base = dirname(resolve(file ?? '.'));
  if (isObject(sasl) && sasl.mechanism === 'oauthbearer') {
    throw new UsageError(
      `${file}: sasl.mechanism oauthbearer needs a function that gives tokens: call redrive() instead`,
    );
  }
  const options: Fields = {
    ...config,
    ...(isObject(tls) ? { tls: withCertificates(tls, base) } : {}),
    librdkafka: isObject(librdkafka ?? {})
      ? { 'session.timeout.ms': SESSION_TIMEOUT_MS, ...withFiles((librdkafka ?? {}) as Fields, base) }
      : librdkafka,
    ...(brokers === undefined ? {} : { brokers }),
  };
  if (options.brokers === undefined) throw new UsageError(`--kafka is missing, and ${file} has no brokers`);
  // What is in it is checked by confluentKafka(), which names every option that it does not take.
  return options as unknown as ConfluentKafkaOptions;
}

function readJson(file: string): Fields {
  let config: unknown;
  try {
    config = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`--config: ${file} cannot be read: ${toError(error).message}`);
  }
  if (!isObject(config))
    throw new UsageError(`--config: ${file}: expected an object with the options of confluentKafka()`);
  return config;
}

/** Certificates as PEM text, or as names of files that have it. */
function withCertificates(tls: Fields, base: string): Fields {
  const read = { ...tls };
  for (const name of ['ca', 'cert', 'key']) {
    const given = tls[name];
    if (typeof given !== 'string' || given.includes('-----BEGIN ')) continue;
    try {
      read[name] = readFileSync(resolve(base, given), 'utf8');
    } catch (error) {
      throw new UsageError(`--config: tls.${name} cannot be read: ${toError(error).message}`);
    }
  }
  return read;
}

function withFiles(properties: Fields, base: string): Fields {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => {
      const isFile = FILE_PROPERTIES.includes(name) && typeof value === 'string';
      return [name, isFile ? resolve(base, value) : value];
    }),
  );
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
