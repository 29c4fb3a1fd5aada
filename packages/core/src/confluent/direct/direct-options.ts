import type { ConnectionOptions } from '@platformatic/kafka';
import { InvalidOptionError } from '../../errors.ts';
import type { ClientProperties, ResolvedConfluentKafkaOptions, SaslOptions, TlsOptions } from '../client-options.ts';
import { propertyPath } from '../reserved-properties.ts';

/** How records are fetched from the leaders. */
export interface DirectOptions {
  readonly brokers: readonly string[];
  readonly clientId: string | undefined;
  readonly connection: ConnectionOptions;
  /** Empty for none. */
  readonly rack: string;
  readonly isReadCommitted: boolean;
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly responseBytes: number;
  readonly partitionBytes: number;
}

/** A partition that gets room again, or is resumed, is asked for at the latest when the request under way comes back: so none waits for long. */
const MAX_WAIT_MS = 100;

/** About a thousand small records: enough that a request is worth it, little enough that all partitions of a leader take their turns. */
const PARTITION_BYTES = 128 * 1024;
const RESPONSE_BYTES = 1024 * 1024;

const REQUEST_MS = 30_000;
const CONNECT_MS = 10_000;

/**
 * What the direct reader is told by the options of the cluster; `properties` are those of the consumer.
 * @throws InvalidOptionError when security, or a plug-in, is given by properties of librdkafka, which only that can follow
 */
export function directOptions(kafka: ResolvedConfluentKafkaOptions, properties: ClientProperties): DirectOptions {
  refuseWhatOnlyLibrdkafkaFollows(kafka.librdkafka);
  const number = (names: readonly string[], otherwise: number): number => {
    const given = names.map((name) => kafka.librdkafka[name]).find((value) => value !== undefined);
    return given === undefined ? otherwise : Number(given);
  };
  const maxWaitMs = number(['fetch.wait.max.ms'], MAX_WAIT_MS);
  const { tls, sasl } = kafka.security;
  const clientId = properties['client.id'];
  return {
    brokers: kafka.brokers,
    clientId: clientId === undefined ? undefined : String(clientId),
    connection: {
      connectTimeout: number(['socket.connection.setup.timeout.ms'], CONNECT_MS),
      // The broker may wait before it answers.
      requestTimeout: number(['socket.timeout.ms'], REQUEST_MS) + maxWaitMs,
      ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
      ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
    },
    rack: String(properties['client.rack'] ?? ''),
    isReadCommitted: properties['isolation.level'] !== 'read_uncommitted',
    maxWaitMs,
    minBytes: number(['fetch.min.bytes'], 1),
    responseBytes: number(['fetch.max.bytes'], RESPONSE_BYTES),
    partitionBytes: number(['max.partition.fetch.bytes', 'fetch.message.max.bytes'], PARTITION_BYTES),
  };
}

const security = /^(?:ssl|sasl|security|enable\.ssl|enable\.sasl|https)\./;
/** What it does to records is nobody's business but librdkafka's. */
const PLUGINS = 'plugin.library.paths';

function refuseWhatOnlyLibrdkafkaFollows(properties: Readonly<ClientProperties>): void {
  for (const [name, value] of Object.entries(properties)) {
    if (name === PLUGINS)
      throw new InvalidOptionError(propertyPath(name), "it to be left out, or reader 'librdkafka'", value);
    if (!security.test(name)) continue;
    const expected = "the options `tls` and `sasl` instead, which the reader 'direct' needs (or reader 'librdkafka')";
    throw new InvalidOptionError(propertyPath(name), expected, value);
  }
}

function tlsOptions(tls: true | TlsOptions): NonNullable<ConnectionOptions['tls']> {
  return tls === true ? {} : { ...tls };
}

function saslOptions(sasl: SaslOptions): NonNullable<ConnectionOptions['sasl']> {
  if (sasl.mechanism !== 'oauthbearer') {
    const mechanism = sasl.mechanism.toUpperCase() as 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    return { mechanism, username: sasl.username, password: sasl.password };
  }
  // One token for both: they are asked for one after the other.
  let extensions: Record<string, string> = {};
  return {
    mechanism: 'OAUTHBEARER',
    token: async () => {
      const token = await sasl.token();
      extensions = { ...token.extensions };
      return token.value;
    },
    oauthBearerExtensions: () => extensions,
  };
}
