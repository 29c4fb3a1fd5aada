import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { ClientEvents } from './client-events.ts';
import type { ConfluentKafkaOptions } from './client-options.ts';
import { confluentKafka } from './index.ts';
import { TokenRefresh } from './token-refresh.ts';

const brokers = ['localhost:9092'];
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const client = { clock: systemClock, logger: quiet };
const member = { ...client, groupId: 'g', groupProtocol: 'consumer' };
const pem = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
const scram = { mechanism: 'scram-sha-256', username: 'u', password: 'p' };
const property = (name: string): string => `librdkafka["${name}"]`;

describe('confluentKafka refuses', () => {
  it.each<[unknown, string]>([
    [null, 'options'],
    [[], 'options'],
    ['localhost:9092', 'options'],
    [{ brokers, broker: 'x:1' }, 'broker'],
    [{ brokers: null }, 'brokers'],
    [{ brokers: 'localhost:9092' }, 'brokers'],
    ...[
      5,
      null,
      '',
      'localhost',
      'localhost:',
      ':9092',
      'a b:1',
      'a:1,b:2',
      'x:y',
      'x:-1',
      'x:1.5',
      '::1:9092',
      'http://x:1',
      'x:1/p',
      'u@x:1',
    ].map((broker): [unknown, string] => [{ brokers: [...brokers, broker] }, 'brokers[1]']),
    [{ brokers: ['localhost:0'] }, 'brokers[0]'],
    [{ brokers: ['localhost:65536'] }, 'brokers[0]'],
    [{ brokers: ['localhost:99999'] }, 'brokers[0]'],
    ...['', 5, null, [], {}, 'a\0b'].flatMap((text): [unknown, string][] => [
      [{ brokers, clientId: text }, 'clientId'],
      [{ brokers, rack: text }, 'rack'],
      [{ brokers, sasl: { ...scram, username: text } }, 'sasl.username'],
      [{ brokers, sasl: { ...scram, password: text } }, 'sasl.password'],
      [{ brokers, tls: { passphrase: text } }, 'tls.passphrase'],
      [{ brokers, tls: { ca: text } }, 'tls.ca'],
    ]),
    ...[null, 'yes', 1, [], () => true].map((tls): [unknown, string] => [{ brokers, tls }, 'tls']),
    [{ brokers, tls: { cert: pem } }, 'tls.key'],
    [{ brokers, tls: { key: pem } }, 'tls.cert'],
    [{ brokers, tls: { rejectUnauthorized: false } }, 'tls.rejectUnauthorized'],
    ...[null, 'plain', true, 5, []].map((sasl): [unknown, string] => [{ brokers, sasl }, 'sasl']),
    [{ brokers, sasl: {} }, 'sasl.mechanism'],
    [{ brokers, sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } }, 'sasl.mechanism'],
    [{ brokers, sasl: { ...scram, token: () => 'x' } }, 'sasl.token'],
    [{ brokers, sasl: { mechanism: 'oauthbearer', token: 'x' } }, 'sasl.token'],
    ...[null, 5, 'x', []].map((librdkafka): [unknown, string] => [{ brokers, librdkafka }, 'librdkafka']),
    ...[null, {}, [], 5n, Number.NaN, Number.POSITIVE_INFINITY, 'a\0b', () => 1].map((value): [unknown, string] => [
      { brokers, librdkafka: { 'client.rack': value } },
      property('client.rack'),
    ]),
    [{ brokers, librdkafka: { '': 1 } }, property('')],
    [{ brokers, librdkafka: { 'linger.ms': 'soon' } }, property('linger.ms')],
  ])('%j, naming %s', (options, option) => {
    expect(() => confluentKafka(options as ConfluentKafkaOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option }),
    );
  });

  it.each<[string, string | number | boolean]>([
    ['acks', 1],
    ['request.required.acks', 0],
    ['enable.idempotence', false],
    ['max.in.flight', 6],
    ['max.in.flight.requests.per.connection', '6'],
    ['retries', 0],
    ['message.send.max.retries', 0],
    ['queue.buffering.backpressure.threshold', 2],
    ['queuing.strategy', 'lifo'],
    ['message.timeout.ms', 5],
    ['delivery.timeout.ms', 3],
    ['linger.ms', -1],
    ['compression.type', 'zip'],
    ['partitioner', 'none'],
  ])('%s %j, which idempotent producers cannot have, before one is connected', (name, value) => {
    expect(() => confluentKafka({ brokers, librdkafka: { [name]: value } })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: property(name) }),
    );
  });

  it('a message timeout below the linger, and takes one above it or none', () => {
    const timeout = (librdkafka: Record<string, number>) => () => confluentKafka({ brokers, librdkafka });
    expect(timeout({ 'message.timeout.ms': 100, 'linger.ms': 200 })).toThrow(/more than linger\.ms, which is 200/);
    expect(timeout({ 'delivery.timeout.ms': 100, 'queue.buffering.max.ms': 200 })).toThrow(/which is 200/);
    expect(timeout({ 'message.timeout.ms': 200, 'linger.ms': 100 })).not.toThrow();
    expect(timeout({ 'message.timeout.ms': 0, 'linger.ms': 100 })).not.toThrow();
  });

  it.each(['localhost:1', 'a-b_c.d:65535', '127.0.0.1:9092', '[::1]:9092'])('but takes the broker %s', (broker) => {
    expect(confluentKafka({ brokers: [broker] }).brokers).toEqual([broker]);
  });

  it.each<[unknown, string]>([
    [undefined, 'options'],
    [null, 'options'],
    [{ ...member, clientId: 5 }, 'clientId'],
    [{ ...member, clientId: '' }, 'clientId'],
    [{ ...member, logger: undefined }, 'logger'],
    [{ ...member, logger: { info() {} } }, 'logger'],
    [{ ...member, groupId: 5 }, 'groupId'],
    [{ ...member, groupId: 'a\0b' }, 'groupId'],
    [{ ...member, groupInstanceId: null }, 'groupInstanceId'],
    [{ ...member, groupProtocol: 'x' }, 'groupProtocol'],
    [{ ...member, groupProtocol: undefined }, 'groupProtocol'],
  ])('a consumer of %j, naming %s', (options, option) => {
    const kafka = confluentKafka({ brokers });
    const refusal = expect.objectContaining({ code: 'INVALID_OPTION', option });
    expect(() => kafka.consumer(options as never)).toThrow(refusal);
    if (!option.startsWith('group')) {
      expect(() => kafka.producer(options as never)).toThrow(refusal);
      expect(() => kafka.admin(options as never)).toThrow(refusal);
    }
  });

  const token = { value: 't', expiresAt: Date.now() + 60_000 };
  it.each<[unknown, RegExp]>([
    [undefined, /value is not a string/],
    [{ ...token, value: '' }, /value is not a string/],
    [{ ...token, value: 'a\0b' }, /value is not a string/],
    [{ ...token, expiresAt: '5' }, /not a time/],
    [{ ...token, expiresAt: 1e300 }, /not a time/],
    [{ ...token, expiresAt: -1e300 }, /not a time/],
    [{ ...token, expiresAt: 1 }, /it expired at 1970/],
    [{ ...token, principal: 5 }, /principal is not a string/],
    [{ ...token, extensions: 'x' }, /extensions are not strings/],
    [{ ...token, extensions: { a: 5 } }, /extensions are not strings/],
  ])('a token of %j', async (given, flaw) => {
    const events = new ClientEvents(brokers, quiet, () => {});
    const refresh = new TokenRefresh(
      () => Promise.resolve(given as typeof token),
      events,
      () => true,
    );
    await expect(refresh.refresh()).rejects.toThrow(flaw);
    expect(events.authentication).toMatchObject({ code: 'AUTHENTICATION', retriable: false });
  });
});
