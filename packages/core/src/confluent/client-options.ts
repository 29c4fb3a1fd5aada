import { InvalidOptionError } from '../errors.ts';
import { isBytes, nativeText } from './kafka-client-options.ts';
import { refuseProducerConflicts } from './producer-conflicts.ts';
import { refuseReservedProperties } from './reserved-properties.ts';

/** How to reach a cluster. Start with `brokers`; then `tls` and `sasl` as the cluster demands. */
export interface ConfluentKafkaOptions {
  /** Where to begin, as `host:port`; the client finds the other brokers by itself. */
  readonly brokers: readonly string[];
  /** Distinguishes these clients in broker logs and quotas. A worker adds its own name. */
  readonly clientId?: string;
  /** Lets the broker serve reads from a replica in the same rack (KIP-392). */
  readonly rack?: string;
  /** `true`: encrypted, with the certificate authorities of this system. Off when left out. */
  readonly tls?: boolean | TlsOptions;
  readonly sasl?: SaslOptions;
  /**
   * Who fetches the records. `librdkafka` works with every broker. `direct` fetches them straight from the partition leaders and makes objects of
   * them as they are taken, while librdkafka stays the member of the group: several times as fast, over a second connection to each broker. It needs
   * Kafka 3.1 and takes security from `tls` and `sasl` only. Of the properties below it follows `fetch.wait.max.ms` (100 unless it is set),
   * `fetch.min.bytes`, `fetch.max.bytes`, `max.partition.fetch.bytes`, `socket.timeout.ms`, `socket.connection.setup.timeout.ms`, `client.rack` and
   * `isolation.level`. A partition that it cannot read and librdkafka can (messages of before Kafka 0.11, a leader that only librdkafka reaches for longer than
   * 10 s) moves to librdkafka, alone, until it is assigned anew; the warning `kafka consumer reads a partition through librdkafka from now on` names it, the
   * offset, and why. `auto` is `direct` unless something stands against it: security by properties of librdkafka, a broker that is too old, brokers that only
   * librdkafka reaches when a consumer connects, or packages that do not load. Which one runs, and why, is in the log line `kafka consumer starts`.
   * @defaultValue 'auto'
   */
  readonly reader?: ReaderName;
  /**
   * Any further property of librdkafka. What the worker itself owns (`enable.auto.commit`, `group.id`, …) is refused, with what to use instead.
   * @see https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
   */
  readonly librdkafka?: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** Certificates as PEM text. */
export interface TlsOptions {
  /** The certificate authorities that may vouch for a broker. The system's when left out. */
  readonly ca?: string | Buffer;
  /** The client's own certificate, with `key`, for brokers that ask for one. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** Opens an encrypted `key`. */
  readonly passphrase?: string;
}

/** Who we say we are. `token` is called again before a token expires. */
export type SaslOptions =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    }
  | { readonly mechanism: 'oauthbearer'; readonly token: () => Promise<OAuthBearerToken> };

/** A bearer token. */
export interface OAuthBearerToken {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly principal?: string;
  readonly extensions?: Readonly<Record<string, string>>;
}

const readers = ['auto', 'direct', 'librdkafka'] as const;

/** Who fetches the records. */
export type ReaderName = (typeof readers)[number];

/** A property list as the native client takes it. */
export type ClientProperties = Record<string, string | number | boolean>;

/** Checked options: what every client of the cluster has in common. */
export interface ResolvedConfluentKafkaOptions {
  readonly brokers: readonly string[];
  readonly clientId: string | undefined;
  /** Where the brokers are and how to be let in. */
  readonly connection: Readonly<ClientProperties>;
  /** What the user set beyond the typed options. */
  readonly librdkafka: Readonly<ClientProperties>;
  readonly token: (() => Promise<OAuthBearerToken>) | undefined;
  readonly reader: ReaderName;
  /** `tls` and `sasl` as they were given, but for a `tls` that is off. */
  readonly security: { readonly tls: true | TlsOptions | undefined; readonly sasl: SaslOptions | undefined };
}

/** A name, an IPv4 address, or an IPv6 address in brackets; then the port. */
const ADDRESS = /^(?:[^\s,:/[\]@\0]+|\[[0-9A-Fa-f:.%\w]+\]):(\d{1,5})$/;
const MAX_PORT = 65_535;

/** @throws InvalidOptionError */
export function resolveConfluentKafkaOptions(options: ConfluentKafkaOptions): ResolvedConfluentKafkaOptions {
  checkKnown('options', options, ['brokers', 'clientId', 'rack', 'tls', 'sasl', 'reader', 'librdkafka']);
  const { brokers, clientId, rack, tls, sasl, reader = 'auto' } = options;
  checkBrokers(brokers);
  if (clientId !== undefined) nativeText('clientId', clientId);
  if (!readers.includes(reader)) throw new InvalidOptionError('reader', "'auto', 'direct' or 'librdkafka'", reader);
  const librdkafka = checkProperties(options.librdkafka === undefined ? {} : options.librdkafka);
  refuseReservedProperties(librdkafka, { tls: tls !== undefined, sasl: sasl !== undefined, rack: rack !== undefined });
  refuseProducerConflicts(librdkafka);

  const connection: ClientProperties = { 'bootstrap.servers': brokers.join(',') };
  if (rack !== undefined) connection['client.rack'] = nativeText('rack', rack);
  const isEncrypted = tls !== undefined && tls !== false;
  if (isEncrypted || sasl !== undefined) {
    connection['security.protocol'] = `${sasl === undefined ? '' : 'sasl_'}${isEncrypted ? 'ssl' : 'plaintext'}`;
  }
  Object.assign(connection, isEncrypted ? tlsProperties(tls) : {}, sasl === undefined ? {} : saslProperties(sasl));
  return {
    brokers: [...brokers],
    clientId,
    connection,
    librdkafka,
    token: sasl?.mechanism === 'oauthbearer' ? sasl.token : undefined,
    reader,
    security: { tls: tls === false ? undefined : tls, sasl },
  };
}

function checkBrokers(brokers: readonly string[]): void {
  const expected = "a list of 'host:port', at least one";
  if (!Array.isArray(brokers) || brokers.length === 0) throw new InvalidOptionError('brokers', expected, brokers);
  brokers.forEach((broker: unknown, i) => {
    const port = typeof broker === 'string' ? ADDRESS.exec(broker)?.[1] : undefined;
    if (port === undefined) throw new InvalidOptionError(`brokers[${i}]`, "'host:port'", broker);
    if (Number(port) < 1 || Number(port) > MAX_PORT)
      throw new InvalidOptionError(`brokers[${i}]`, `a port from 1 to ${MAX_PORT}`, broker);
  });
}

function checkProperties(properties: Readonly<Record<string, unknown>>): ClientProperties {
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) {
    throw new InvalidOptionError('librdkafka', 'an object of librdkafka properties', properties);
  }
  const checked: ClientProperties = {};
  for (const [name, value] of Object.entries(properties)) {
    if (name === '' || name.includes('\0'))
      throw new InvalidOptionError(`librdkafka[${JSON.stringify(name)}]`, 'a property that librdkafka knows', value);
    if (value === undefined) continue; // the native client would read it as the text "undefined"
    const isUsable =
      typeof value === 'boolean' ||
      (typeof value === 'string' && !value.includes('\0')) ||
      (typeof value === 'number' && Number.isFinite(value));
    if (!isUsable)
      throw new InvalidOptionError(`librdkafka[${JSON.stringify(name)}]`, 'a string, number or boolean', value);
    checked[name] = value;
  }
  return checked;
}

function tlsProperties(tls: true | TlsOptions): ClientProperties {
  if (tls === true) return {};
  checkKnown('tls', tls, ['ca', 'cert', 'key', 'passphrase'], 'true or { ca, cert, key, passphrase }');
  const properties: ClientProperties = {};
  if (tls.ca !== undefined) properties['ssl.ca.pem'] = pem('tls.ca', tls.ca, 'ssl.ca.location');
  if (tls.cert !== undefined) properties['ssl.certificate.pem'] = pem('tls.cert', tls.cert, 'ssl.certificate.location');
  if (tls.key !== undefined) properties['ssl.key.pem'] = pem('tls.key', tls.key, 'ssl.key.location');
  if (tls.passphrase !== undefined) properties['ssl.key.password'] = nativeText('tls.passphrase', tls.passphrase);
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    const missing = tls.cert === undefined ? 'tls.cert' : 'tls.key';
    throw new InvalidOptionError(missing, 'cert and key together', undefined);
  }
  return properties;
}

function pem(option: string, value: unknown, fileProperty: string): string {
  const text = isBytes(value) ? value.toString('utf8') : value;
  if (typeof text !== 'string' || !text.includes('-----BEGIN ') || text.includes('\0')) {
    throw new InvalidOptionError(option, `PEM text (for a file use librdkafka["${fileProperty}"])`, value);
  }
  return text;
}

function saslProperties(sasl: SaslOptions): ClientProperties {
  checkObject('sasl', sasl, "{ mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer', … }");
  switch (sasl.mechanism) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512':
      checkKnown('sasl', sasl, ['mechanism', 'username', 'password']);
      return {
        'sasl.mechanisms': sasl.mechanism.toUpperCase(),
        'sasl.username': nativeText('sasl.username', sasl.username),
        'sasl.password': nativeText('sasl.password', sasl.password),
      };
    case 'oauthbearer':
      checkKnown('sasl', sasl, ['mechanism', 'token']);
      if (typeof sasl.token !== 'function')
        throw new InvalidOptionError('sasl.token', 'a function that gives a token', sasl.token);
      return { 'sasl.mechanisms': 'OAUTHBEARER' };
    default: {
      const expected = "'plain', 'scram-sha-256', 'scram-sha-512' or 'oauthbearer'";
      throw new InvalidOptionError('sasl.mechanism', expected, (sasl as { mechanism?: unknown }).mechanism);
    }
  }
}

function checkObject(option: string, value: unknown, expected: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidOptionError(option, expected, value);
}

/** A misspelt option is silently no option, so it is refused. */
function checkKnown(option: string, value: object, known: readonly string[], expected = 'an object'): void {
  checkObject(option, value, expected);
  for (const [name, inner] of Object.entries(value)) {
    if (known.includes(name) || inner === undefined) continue;
    const path = option === 'options' ? name : `${option}.${name}`;
    throw new InvalidOptionError(path, `no option of that name (there are ${known.join(', ')})`, inner);
  }
}
