import { InvalidOptionError } from '../errors.ts';
import type { ClientProperties } from './client-options.ts';

/** What the worker owns, and what a user who wants it does instead. */
const reserved: Readonly<Record<string, string>> = {
  'bootstrap.servers': 'the option `brokers`',
  'metadata.broker.list': 'the option `brokers`',
  'client.id': 'the option `clientId`',
  'group.id': "the worker's option `groupId`",
  'group.instance.id': "the worker's option `groupInstanceId`",
  'group.protocol': "the worker's option `groupProtocol`",
  'enable.auto.commit': 'nothing: the worker commits what is finished, see its option `commit`',
  'auto.commit.enable': 'nothing: the worker commits what is finished, see its option `commit`',
  'auto.commit.interval.ms': "the worker's option `commit: { everyMs }`",
  'enable.auto.offset.store': 'nothing: the worker commits what is finished, see its option `commit`',
  'auto.offset.reset': "the worker's options `startFrom` and `onOffsetOutOfRange`",
  'enable.partition.eof': 'nothing: the worker needs it to know that a partition is caught up',
  'allow.auto.create.topics': 'nothing: a worker never creates the topics that it reads',
  'transactional.id': 'the delivery `exactlyOnce({ transactionalIdPrefix })`',
  'transaction.timeout.ms': 'the delivery `exactlyOnce({ transactionTimeoutMs })`',
  'enable.idempotence': 'nothing: producers are always idempotent',
  acks: "nothing: what a worker sends is acknowledged by all in-sync replicas, 'all'",
  'request.required.acks': "nothing: what a worker sends is acknowledged by all in-sync replicas, 'all'",
  'delivery.report.only.error': 'nothing: a send resolves at its delivery report',
  'enable.sasl.oauthbearer.unsecure.jwt': 'the option `sasl: { mechanism: "oauthbearer", token }`',
  'test.mock.num.brokers': '`embeddedKafka()` from @kafka-worker/core/testing',
};

const membershipOfClassicGroups = ['partition.assignment.strategy', 'session.timeout.ms', 'heartbeat.interval.ms'];

const strategies = ['cooperative-sticky', 'range', 'roundrobin'];

/**
 * Refuses properties that would work against the worker, or against a typed option that says the same.
 * @throws InvalidOptionError
 */
export function refuseReservedProperties(
  properties: Readonly<ClientProperties>,
  typed: { readonly tls: boolean; readonly sasl: boolean; readonly rack: boolean },
): void {
  for (const [name, value] of Object.entries(properties)) {
    const instead = insteadOf(name, typed);
    if (instead !== undefined) throw new InvalidOptionError(propertyPath(name), `${instead}, not this property`, value);
  }
  const strategy = properties['partition.assignment.strategy'];
  if (strategy !== undefined && !isStrategyList(strategy)) {
    const expected = "'cooperative-sticky', or 'range' and 'roundrobin' (alone or as 'range,roundrobin')";
    throw new InvalidOptionError(propertyPath('partition.assignment.strategy'), expected, strategy);
  }
}

/** @throws InvalidOptionError for properties that a member of a KIP-848 group cannot have: the broker decides there. */
export function refuseClassicProperties(properties: Readonly<ClientProperties>): void {
  for (const name of membershipOfClassicGroups) {
    if (properties[name] === undefined) continue;
    const expected =
      "it to be left out under groupProtocol 'consumer', where the broker decides (or groupProtocol 'classic')";
    throw new InvalidOptionError(propertyPath(name), expected, properties[name]);
  }
}

/** How an error names a property. */
export function propertyPath(name: string): string {
  return `librdkafka[${JSON.stringify(name)}]`;
}

function insteadOf(name: string, typed: { tls: boolean; sasl: boolean; rack: boolean }): string | undefined {
  const instead = reserved[name];
  if (instead !== undefined) return instead;
  if (name.endsWith('_cb')) return 'no callback: the worker owns them all, see its events';
  if ((typed.tls || typed.sasl) && name === 'security.protocol') return 'the options `tls` and `sasl`, which are given';
  if (typed.tls && ['ssl.ca.', 'ssl.certificate.', 'ssl.key.'].some((prefix) => name.startsWith(prefix))) {
    return 'the option `tls`, which is given';
  }
  if (typed.sasl && (name.startsWith('sasl.mechanism') || name === 'sasl.username' || name === 'sasl.password')) {
    return 'the option `sasl`, which is given';
  }
  if (typed.rack && name === 'client.rack') return 'the option `rack`, which is given';
  return undefined;
}

function isStrategyList(value: unknown): boolean {
  const names = String(value).split(',');
  if (!names.every((name) => strategies.includes(name.trim()))) return false;
  // Members of one group must move partitions in one way: librdkafka refuses the mixture too, but only once it is connected.
  return names.length === 1 || !names.some((name) => name.trim() === 'cooperative-sticky');
}
