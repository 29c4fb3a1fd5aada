import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { pauseFor } from './bounded.ts';
import { resolveConfluentKafkaOptions } from './client-options.ts';
import { loadDirectLibrary } from './direct/direct-library.ts';
import { directOptions } from './direct/direct-options.ts';
import { DirectPartition } from './direct/direct-partition.ts';
import type { DirectRecord } from './direct/direct-record.ts';
import { Fetcher } from './direct/fetcher.ts';
import { type ConfluentKafkaOptions, confluentKafka } from './index.ts';

/** The secure listeners of a broker and what a client needs for them; file names, passwords. */
interface SecureKafka {
  readonly ca: string;
  readonly unrelatedCa: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
  readonly encryptedClientKey: string;
  readonly clientKeyPassphrase: string;
  readonly bootstrap: Readonly<Record<'tls' | 'mutualTls' | 'saslTls' | 'saslPlain', string>>;
  readonly plainUser: { readonly username: string; readonly password: string };
  readonly scramUser: { readonly username: string; readonly password: string };
  readonly oauthSubject: string;
}

const file = process.env.KAFKA_SECURE;

if (file === undefined) {
  describe('Kafka over TLS and SASL', () => {
    it.skip('needs a broker with secure listeners: set KAFKA_SECURE (npm run kafka -- start --secure prints it)', () => {});
  });
} else {
  describeSecurity(JSON.parse(readFileSync(file, 'utf8')) as SecureKafka);
}

function describeSecurity(kafka: SecureKafka): void {
  const ca = readFileSync(kafka.ca);
  const { tls, mutualTls, saslTls, saslPlain } = kafka.bootstrap;
  const cert = readFileSync(kafka.clientCertificate);
  const scram = { mechanism: 'scram-sha-256', ...kafka.scramUser } as const;
  const plain = { mechanism: 'plain', ...kafka.plainUser } as const;
  const oauth = (lifetimeMs: number, tokenMs = lifetimeMs) =>
    ({
      mechanism: 'oauthbearer',
      token: async () => ({
        value: unsecuredToken(kafka.oauthSubject, tokenMs),
        expiresAt: Date.now() + lifetimeMs,
        principal: kafka.oauthSubject,
      }),
    }) as const;

  const ways: readonly [string, ConfluentKafkaOptions][] = [
    ['TLS', { brokers: [tls], tls: { ca } }],
    ['TLS with a CA as text', { brokers: [tls], tls: { ca: ca.toString() } }],
    ['mutual TLS', { brokers: [mutualTls], tls: { ca, cert, key: readFileSync(kafka.clientKey) } }],
    [
      'mutual TLS with an encrypted key',
      {
        brokers: [mutualTls],
        tls: { ca, cert, key: readFileSync(kafka.encryptedClientKey), passphrase: kafka.clientKeyPassphrase },
      },
    ],
    ['PLAIN over TLS', { brokers: [saslTls], tls: { ca }, sasl: plain }],
    ['PLAIN', { brokers: [saslPlain], sasl: plain }],
    ['SCRAM-SHA-256', { brokers: [saslPlain], sasl: scram }],
    ['SCRAM-SHA-512', { brokers: [saslPlain], sasl: { ...scram, mechanism: 'scram-sha-512' } }],
    ['SCRAM-SHA-256 over TLS', { brokers: [saslTls], tls: { ca }, sasl: scram }],
    ['OAUTHBEARER', { brokers: [saslPlain], sasl: oauth(3_600_000) }],
    ['OAUTHBEARER over TLS', { brokers: [saslTls], tls: { ca }, sasl: oauth(3_600_000) }],
  ];

  const refusals: readonly [string, ConfluentKafkaOptions, RegExp][] = [
    ['an unknown CA', { brokers: [tls], tls: { ca: readFileSync(kafka.unrelatedCa) } }, /certificate verify failed/],
    ["the system's CAs, which do not know it", { brokers: [tls], tls: true }, /certificate verify failed/],
    ['no client certificate', { brokers: [mutualTls], tls: { ca } }, /certificate/],
    [
      'a wrong passphrase',
      { brokers: [mutualTls], tls: { ca, cert, key: readFileSync(kafka.encryptedClientKey), passphrase: 'wrong' } },
      /key/,
    ],
    [
      'a wrong password (PLAIN)',
      { brokers: [saslPlain], sasl: { ...plain, password: 'wrong' } },
      /Authentication failed/i,
    ],
    [
      'a wrong password (SCRAM)',
      { brokers: [saslTls], tls: { ca }, sasl: { ...scram, password: 'wrong' } },
      /Authentication failed/i,
    ],
    [
      'a token that the broker calls expired',
      { brokers: [saslPlain], sasl: oauth(3_600_000, -60_000) },
      /oauth|token|expired|invalid/i,
    ],
    ['a token that is expired', { brokers: [saslPlain], sasl: oauth(-60_000) }, /expired/],
  ];

  describe('Kafka over TLS and SASL', () => {
    let clients: TestClients | undefined;
    afterEach(() => clients?.close());

    const readers = ['librdkafka', 'direct'] as const;
    const waysOfBoth = ways.flatMap(([way, options]) => readers.map((reader) => [way, reader, options] as const));
    it.each(waysOfBoth)('consumes and commits: %s, reader %s', async (_way, reader, options) => {
      const cluster = confluentKafka({ ...options, reader });
      clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
      const topic = await clients.topic(1);
      await clients.sendNumbers(topic, 0, 3);
      const member = await clients.member([topic], { groupProtocol: 'consumer' });
      await member.untilRecords(3);
      await member.consumer.commit([{ topic, partition: 0, offset: 3 }]);
      expect(await member.consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: 3 }]);
    });

    // librdkafka does not renew tokens that are as short-lived as a test needs them: so without it.
    it('the direct reader reads on while tokens expire and are renewed', async () => {
      let tokens = 0;
      const { mechanism, token } = oauth(3_000);
      const counted = (): ReturnType<typeof token> => {
        tokens++;
        return token();
      };
      const options = { brokers: [saslPlain], sasl: { mechanism, token: counted } };
      const cluster = confluentKafka({ brokers: [saslPlain], sasl: plain });
      clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
      const topic = await clients.topic(1);
      const partition = new DirectPartition(topic, 0, 0);
      const errors: Error[] = [];
      const records: DirectRecord[] = [];
      const fetcher = new Fetcher({
        ...{ library: await loadDirectLibrary(), options: directOptions(resolveConfluentKafkaOptions(options), {}) },
        ...{ partitions: () => [partition], report: (error: Error) => errors.push(error) },
        ...{ leave: (_owned: unknown, why: string) => errors.push(new Error(why)) },
        ...{ rangeOf: () => Promise.reject(new Error('not asked for')), changed: () => partition.take(1_000, records) },
      });
      try {
        fetcher.turn();
        const offsets: number[] = [];
        for (const until = Date.now() + 9_000; Date.now() < until; ) {
          await clients.sendNumbers(topic, 0, 1);
          offsets.push(offsets.length);
          for (const late = Date.now() + 5_000; records.length < offsets.length; await pauseFor(5))
            if (Date.now() > late) throw new Error(`${records.length} of ${offsets.length} came: ${String(errors)}`);
        }
        expect(records.map(({ offset }) => offset)).toEqual(offsets);
        expect(errors).toEqual([]);
        expect(tokens).toBeGreaterThanOrEqual(3);
      } finally {
        fetcher.stop();
      }
    }, 60_000);

    it.each(refusals)('fails fast with an AuthenticationError: %s', async (_case, options, text) => {
      const cluster = confluentKafka(options);
      const common = { clock: systemClock, logger: { debug() {}, info() {}, warn() {}, error() {} } };
      const consumer = cluster.consumer({ groupId: uniqueName('group'), groupProtocol: 'consumer', ...common });
      const producer = cluster.producer(common);
      const started = Date.now();
      const refused = { name: 'AuthenticationError', retriable: false, message: expect.stringMatching(text) };
      await expect(consumer.connect({ timeoutMs: 20_000 })).rejects.toMatchObject(refused);
      await expect(producer.connect({ timeoutMs: 20_000 })).rejects.toMatchObject(refused);
      expect(Date.now() - started).toBeLessThan(8_000);
      await Promise.all([consumer.close(), producer.close(1_000)]);
    });

    it('gives the failure of the token provider when that does not pass', async () => {
      const token = (): Promise<never> => Promise.reject(new Error('identity provider is down'));
      const cluster = confluentKafka({ brokers: [saslPlain], sasl: { mechanism: 'oauthbearer', token } });
      const common = { clock: systemClock, logger: { debug() {}, info() {}, warn() {}, error() {} } };
      const consumer = cluster.consumer({ groupId: uniqueName('group'), groupProtocol: 'consumer', ...common });
      await expect(consumer.connect({ timeoutMs: 1_000 })).rejects.toMatchObject({
        name: 'AuthenticationError',
        message: expect.stringContaining('identity provider is down'),
      });
      await consumer.close();
    });
  });
}

/** An unsecured JSON web token, which the test broker takes. */
function unsecuredToken(subject: string, lifetimeMs: number): string {
  const seconds = Math.floor(Date.now() / 1_000);
  const claims = { sub: subject, iat: seconds - 120, exp: seconds + Math.floor(lifetimeMs / 1_000) };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.`;
}
