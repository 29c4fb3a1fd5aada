import { describe, expect, it } from '@jest/globals';
import { type ConfluentKafkaOptions, resolveConfluentKafkaOptions } from './client-options.ts';
import {
  adminProperties,
  consumerProperties,
  producerProperties,
  transactionalProperties,
} from './client-properties.ts';
import { confluentKafka } from './index.ts';

const brokers = ['localhost:9092', 'other:9093'];
const pem = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';

const connection = (options: Partial<ConfluentKafkaOptions>) =>
  resolveConfluentKafkaOptions({ brokers, ...options }).connection;

describe('options of confluentKafka', () => {
  it('become librdkafka properties', () => {
    expect(connection({})).toEqual({ 'bootstrap.servers': 'localhost:9092,other:9093' });
    expect(connection({ tls: true, rack: 'a' })).toMatchObject({ 'security.protocol': 'ssl', 'client.rack': 'a' });
    expect(connection({ tls: { ca: Buffer.from(pem), cert: pem, key: pem, passphrase: 'p' } })).toMatchObject({
      'security.protocol': 'ssl',
      'ssl.ca.pem': pem,
      'ssl.certificate.pem': pem,
      'ssl.key.pem': pem,
      'ssl.key.password': 'p',
    });
    const scram = { mechanism: 'scram-sha-256', username: 'u', password: 'p' } as const;
    expect(connection({ sasl: scram })).toMatchObject({
      'security.protocol': 'sasl_plaintext',
      'sasl.mechanisms': 'SCRAM-SHA-256',
      'sasl.username': 'u',
      'sasl.password': 'p',
    });
    expect(connection({ sasl: scram, tls: true })).toMatchObject({ 'security.protocol': 'sasl_ssl' });
    expect(connection({ sasl: scram, tls: false })).toMatchObject({ 'security.protocol': 'sasl_plaintext' });
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /^options: expected an object, received undefined$/],
    ['no brokers', { brokers: [] }, /^brokers: expected a list of 'host:port', at least one/],
    [
      'a broker without a port',
      { brokers: ['localhost'] },
      /^brokers\[0\]: expected 'host:port', received "localhost"$/,
    ],
    ['an empty client id', { brokers, clientId: '' }, /^clientId: /],
    [
      'a file name for a certificate',
      { brokers, tls: { ca: '/etc/ca.pem' } },
      /^tls\.ca: expected PEM text \(for a file use librdkafka\["ssl\.ca\.location"\]\)/,
    ],
    ['a certificate without its key', { brokers, tls: { cert: pem } }, /^tls\.key: /],
    ['an unknown mechanism', { brokers, sasl: { mechanism: 'gssapi' } }, /^sasl\.mechanism: .* received "gssapi"$/],
    ['no password', { brokers, sasl: { mechanism: 'plain', username: 'u' } }, /^sasl\.password: /],
    ['no token provider', { brokers, sasl: { mechanism: 'oauthbearer' } }, /^sasl\.token: /],
    ['a list of properties', { brokers, librdkafka: ['x'] }, /^librdkafka: /],
    [
      'a property that is an object',
      { brokers, librdkafka: { a: {} } },
      /^librdkafka\["a"\]: expected a string, number or boolean/,
    ],
    ['a property that is no number', { brokers, librdkafka: { a: Number.NaN } }, /^librdkafka\["a"\]: /],
    [
      'an unknown property',
      { brokers, librdkafka: { 'fetch.wait.max': 5 } },
      /^librdkafka\["fetch\.wait\.max"\]: expected a property that librdkafka knows, received 5$/,
    ],
    [
      'a value out of range',
      { brokers, librdkafka: { 'fetch.wait.max.ms': -5 } },
      /^librdkafka\["fetch\.wait\.max\.ms"\]: expected what librdkafka takes \(.*range.*received -5$/,
    ],
    [
      'no strategy for assignment',
      { brokers, librdkafka: { 'partition.assignment.strategy': 'sticky' } },
      /^librdkafka\["partition\.assignment\.strategy"\]: /,
    ],
    [
      'strategies that do not go together',
      { brokers, librdkafka: { 'partition.assignment.strategy': 'range,cooperative-sticky' } },
      /^librdkafka\["partition\.assignment\.strategy"\]: /,
    ],
  ])('are refused with their path: %s', (_case, options, message) => {
    expect(() => confluentKafka(options as ConfluentKafkaOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }),
    );
  });

  it.each([
    ['enable.auto.commit', true, /see its option `commit`/],
    ['enable.auto.offset.store', true, /commits what is finished/],
    ['auto.offset.reset', 'earliest', /`startFrom` and `onOffsetOutOfRange`/],
    ['group.id', 'g', /`groupId`/],
    ['group.instance.id', 'g', /`groupInstanceId`/],
    ['group.protocol', 'classic', /`groupProtocol`/],
    ['enable.partition.eof', false, /caught up/],
    ['bootstrap.servers', 'x:1', /`brokers`/],
    ['metadata.broker.list', 'x:1', /`brokers`/],
    ['client.id', 'x', /`clientId`/],
    ['transactional.id', 'x', /exactlyOnce/],
    ['enable.idempotence', false, /idempotent/],
    ['acks', 0, /in-sync replicas/],
    ['rebalance_cb', true, /no callback/],
    ['offset_commit_cb', true, /no callback/],
    ['queue_non_empty_cb', true, /no callback/],
    ['event_cb', false, /no callback/],
    ['dr_cb', true, /no callback/],
    ['allow.auto.create.topics', true, /never creates/],
  ])('refuse what the worker owns, with what to use instead: %s', (name, value, instead) => {
    const options = { brokers, librdkafka: { [name]: value } };
    expect(() => confluentKafka(options)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        option: `librdkafka["${name}"]`,
        message: expect.stringMatching(instead),
      }),
    );
  });

  it('refuse a property that says the same as a typed option that is given, and take it otherwise', () => {
    const location = { 'ssl.ca.location': '/ca.pem', 'security.protocol': 'ssl' };
    expect(resolveConfluentKafkaOptions({ brokers, librdkafka: location }).librdkafka).toEqual(location);
    expect(() => resolveConfluentKafkaOptions({ brokers, tls: true, librdkafka: location })).toThrow(
      /the option `tls`, which is given/,
    );
    const sasl = { mechanism: 'plain', username: 'u', password: 'p' } as const;
    expect(() => resolveConfluentKafkaOptions({ brokers, sasl, librdkafka: { 'sasl.username': 'x' } })).toThrow(
      /the option `sasl`/,
    );
  });

  it('let users choose the isolation level and the strategy, and keep undefined from becoming text', () => {
    const kafka = resolveConfluentKafkaOptions({
      brokers,
      librdkafka: { 'isolation.level': 'read_uncommitted', 'partition.assignment.strategy': 'range', debug: undefined },
    });
    const member = { groupId: 'g', groupProtocol: 'classic' } as const;
    expect(consumerProperties(kafka, member)).toMatchObject({
      'isolation.level': 'read_uncommitted',
      'partition.assignment.strategy': 'range',
    });
    expect(consumerProperties(kafka, member)).not.toHaveProperty('debug');
  });
});

describe('properties of clients', () => {
  const kafka = resolveConfluentKafkaOptions({
    brokers,
    clientId: 'app',
    librdkafka: { 'linger.ms': 50, 'fetch.wait.max.ms': 5 },
  });

  it('make a member that commits and jumps by nobody else than the worker', () => {
    expect(consumerProperties(kafka, { groupId: 'g', groupProtocol: 'classic', groupInstanceId: 'i' })).toMatchObject({
      'client.id': 'app',
      'group.id': 'g',
      'group.instance.id': 'i',
      'group.protocol': 'classic',
      'partition.assignment.strategy': 'cooperative-sticky',
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'auto.offset.reset': 'error',
      'enable.partition.eof': true,
    });
  });

  it('leave assignment to the broker under KIP-848', () => {
    const member = { groupId: 'g', groupProtocol: 'consumer', clientId: 'worker' } as const;
    expect(consumerProperties(kafka, member)).not.toHaveProperty('partition.assignment.strategy');
    expect(consumerProperties(kafka, member)).toMatchObject({ 'client.id': 'worker' });
    const classic = resolveConfluentKafkaOptions({ brokers, librdkafka: { 'session.timeout.ms': 6_000 } });
    expect(() => consumerProperties(classic, member)).toThrow(
      /librdkafka\["session\.timeout\.ms"\].*groupProtocol 'consumer'/,
    );
  });

  it('make producers idempotent, and give them nothing that is for consumers', () => {
    expect(producerProperties(kafka)).toEqual({
      'bootstrap.servers': 'localhost:9092,other:9093',
      'client.id': 'app',
      'enable.idempotence': true,
      'linger.ms': 50,
      'reconnect.backoff.max.ms': 1_000,
    });
    expect(adminProperties(kafka)).not.toHaveProperty('fetch.wait.max.ms');
  });

  it.each([
    [{}, { 'reconnect.backoff.max.ms': 1_000 }],
    [{ 'reconnect.backoff.ms': 5_000 }, { 'reconnect.backoff.ms': 5_000, 'reconnect.backoff.max.ms': 5_000 }],
    [{ 'reconnect.backoff.max.ms': 20_000 }, { 'reconnect.backoff.max.ms': 20_000 }],
  ])('leave no broker alone for long once it is back, unless %j says so', (librdkafka, expected) => {
    const own = resolveConfluentKafkaOptions({ brokers, librdkafka });
    const member = { groupId: 'g', groupProtocol: 'classic' } as const;
    for (const properties of [consumerProperties(own, member), producerProperties(own), adminProperties(own)])
      expect(properties).toMatchObject(expected);
  });

  it('make transactions follow each other closely, and let no message wait for longer than its transaction may take', () => {
    const transactions = { transactionalId: 't-1', transactionTimeoutMs: 4_000 };
    expect(transactionalProperties(kafka, transactions)).toEqual({
      ...producerProperties(kafka),
      'transactional.id': 't-1',
      'transaction.timeout.ms': 4_000,
      'retry.backoff.ms': 5,
      'connections.max.idle.ms': 5_000,
      // A topic that is unknown for so long is told from brokers that are away.
      'topic.metadata.propagation.max.ms': 2_000,
    });
    const librdkafka = { 'retry.backoff.ms': 50, 'message.timeout.ms': 60_000, 'socket.timeout.ms': 1_000 };
    const own = resolveConfluentKafkaOptions({ brokers, librdkafka });
    expect(transactionalProperties(own, transactions)).toMatchObject({
      ...{ 'retry.backoff.ms': 50, 'message.timeout.ms': 4_000, 'socket.timeout.ms': 1_000 },
    });
    const unbounded = resolveConfluentKafkaOptions({ brokers, librdkafka: { 'message.timeout.ms': 0 } });
    expect(transactionalProperties(unbounded, transactions)).toMatchObject({ 'message.timeout.ms': 4_000 });
    const patient = { transactionalId: 't-1', transactionTimeoutMs: 60_000 };
    expect(transactionalProperties(kafka, patient)).toMatchObject({ 'topic.metadata.propagation.max.ms': 5_000 });
  });
});
