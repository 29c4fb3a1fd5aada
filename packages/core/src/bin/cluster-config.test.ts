import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { readClusterConfig } from './cluster-config.ts';
import { UsageError } from './usage-error.ts';

const directory = mkdtempSync(join(tmpdir(), 'kafka-worker-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
function written(content: unknown): string {
  const file = join(directory, `${files++}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

const PEM = '-----BEGIN CERTIFICATE-----\n';

describe('the file of --config', () => {
  it('is not needed', () => {
    expect(readClusterConfig(undefined, ['a:1'])).toEqual({
      brokers: ['a:1'],
      librdkafka: { 'session.timeout.ms': 10_000 },
    });
  });

  it('has the options of the cluster; the command line overrules its brokers', () => {
    const config = { brokers: ['a:1'], clientId: 'c', tls: true, librdkafka: { 'session.timeout.ms': 7_000 } };
    expect(readClusterConfig(written(config), undefined)).toEqual(config);
    expect(readClusterConfig(written(config), ['b:2']).brokers).toEqual(['b:2']);
  });

  it('names files relative to itself, or has their text', () => {
    mkdirSync(join(directory, 'certificates'));
    writeFileSync(join(directory, 'certificates', 'ca.pem'), `${PEM}ca`);
    writeFileSync(join(directory, 'key.pem'), `${PEM}key`);
    const tls = { ca: 'certificates/ca.pem', cert: `${PEM}cert`, key: join(directory, 'key.pem'), passphrase: 'p' };
    const librdkafka = { 'ssl.crl.location': 'crl.pem', 'ssl.cipher.suites': 'a.pem' };
    expect(readClusterConfig(written({ tls, librdkafka }), ['a:1'])).toMatchObject({
      tls: { ca: `${PEM}ca`, cert: `${PEM}cert`, key: `${PEM}key`, passphrase: 'p' },
      librdkafka: { 'ssl.crl.location': join(directory, 'crl.pem'), 'ssl.cipher.suites': 'a.pem' },
    });
  });

  it.each<[string, unknown, string]>([
    ['no JSON', '{', 'cannot be read'],
    ['no object', [1], 'expected an object with the options of confluentKafka()'],
    ['a certificate that there is not', { tls: { ca: 'gone.pem' } }, 'tls.ca cannot be read'],
    ['what a file cannot hold', { sasl: { mechanism: 'oauthbearer' } }, 'needs a function that gives tokens'],
    ['no brokers', {}, '--kafka is missing'],
  ])('is refused with %s', (_name, content, message) => {
    const read = (): unknown => readClusterConfig(written(content), undefined);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(message);
  });
});
