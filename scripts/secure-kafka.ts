import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Certificates, createCertificates } from './kafka-certificates.ts';
import type { BrokerPorts, KafkaUser } from './kafka-properties.ts';

/** The secure listeners of a cluster and what a client needs for them; written as JSON for the tests. */
export interface SecureKafka extends Certificates {
  /** Bootstrap addresses by listener. The two SASL listeners each speak every mechanism of `saslMechanisms`. */
  readonly bootstrap: {
    readonly tls: string;
    readonly mutualTls: string;
    readonly saslTls: string;
    readonly saslPlain: string;
  };
  readonly plainUser: KafkaUser;
  /** For SCRAM-SHA-256 and SCRAM-SHA-512. */
  readonly scramUser: KafkaUser;
  /** OAUTHBEARER takes unsecured JSON web tokens (`alg: none`) with `sub`, `iat` and `exp`. */
  readonly oauthSubject: string;
}

/** Certificates, users and passwords of the cluster in a directory; made at its first start. */
export async function secureKafka(directory: string, ports: readonly BrokerPorts[]): Promise<SecureKafka> {
  const file = secureFile(directory);
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as SecureKafka;
  const password = (): string => randomBytes(12).toString('hex');
  const secure: SecureKafka = {
    ...(await createCertificates(join(directory, 'certificates'))),
    bootstrap: {
      tls: addresses(ports, 'tls'),
      mutualTls: addresses(ports, 'mutualTls'),
      saslTls: addresses(ports, 'saslTls'),
      saslPlain: addresses(ports, 'saslPlain'),
    },
    plainUser: { username: 'plain-user', password: password() },
    scramUser: { username: 'scram-user', password: password() },
    oauthSubject: 'oauth-user',
  };
  writeFileSync(file, JSON.stringify(secure, undefined, 2), { mode: 0o600 });
  return secure;
}

/** The file that {@link SecureKafka} is kept in. */
export function secureFile(directory: string): string {
  return join(directory, 'secure.json');
}

/** Bootstrap addresses of one kind of listener, comma separated. */
export function addresses(ports: readonly BrokerPorts[], listener: keyof BrokerPorts): string {
  return ports.map((each) => `127.0.0.1:${each[listener]}`).join(',');
}
