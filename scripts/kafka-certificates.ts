import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** Paths of PEM files: what a broker with TLS needs and what its clients need, good and bad. */
export interface Certificates {
  /** The authority that signed the server's and the client's certificate. */
  readonly ca: string;
  /** An authority that signed neither: a client that trusts only this one must refuse the broker. */
  readonly unrelatedCa: string;
  /** Private key and certificate of the server in one file, as Kafka's PEM key store wants them. */
  readonly serverKeyStore: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
  /** The client's key again, encrypted with `clientKeyPassphrase`. */
  readonly encryptedClientKey: string;
  readonly clientKeyPassphrase: string;
}

interface Identity {
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 24 * 60 * 60 * 1_000;

/** Makes an authority, a server certificate for the loopback names and a client certificate, all valid for a year. */
export async function createCertificates(directory: string): Promise<Certificates> {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, ...parts: readonly string[]): string => {
    const file = join(directory, name);
    writeFileSync(file, parts.join('\n'), { mode: 0o600 });
    return file;
  };
  const ca = await identity('Test authority');
  const unrelated = await identity('Unrelated authority');
  const server = await identity('localhost');
  const client = await identity('test-client');
  const serverCertificate = await certificate(server, ca, [
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension([
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
    ]),
  ]);
  const clientCertificate = await certificate(client, ca, [
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
  ]);
  const passphrase = randomBytes(12).toString('hex');
  return {
    ca: write('ca.pem', await authority(ca)),
    unrelatedCa: write('unrelated-ca.pem', await authority(unrelated)),
    serverKeyStore: write('server.pem', await privateKey(server), serverCertificate),
    clientCertificate: write('client.pem', clientCertificate),
    clientKey: write('client-key.pem', await privateKey(client)),
    encryptedClientKey: write('client-key-encrypted.pem', await privateKey(client, passphrase)),
    clientKeyPassphrase: passphrase,
  };
}

async function identity(name: string): Promise<Identity> {
  return { name: `CN=${name}`, keys: await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) };
}

function authority(self: Identity): Promise<string> {
  return certificate(self, self, [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]);
}

async function certificate(
  subject: Identity,
  issuer: Identity,
  extensions: readonly (
    | BasicConstraintsExtension
    | ExtendedKeyUsageExtension
    | KeyUsagesExtension
    | SubjectAlternativeNameExtension
  )[],
): Promise<string> {
  const signed = await X509CertificateGenerator.create({
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    subject: subject.name,
    issuer: issuer.name,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + 365 * dayMs),
    signingAlgorithm: algorithm,
    publicKey: subject.keys.publicKey,
    signingKey: issuer.keys.privateKey,
    extensions: [...extensions],
  });
  return `${signed.toString('pem')}\n`;
}

async function privateKey({ keys }: Identity, passphrase?: string): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return key.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString();
}
