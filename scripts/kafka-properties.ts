/** Ports of one broker, all on the loopback address. */
export interface BrokerPorts {
  readonly plain: number;
  readonly controller: number;
  readonly tls: number;
  readonly mutualTls: number;
  readonly saslTls: number;
  readonly saslPlain: number;
}

/** A name and its password, for PLAIN or for SCRAM. */
export interface KafkaUser {
  readonly username: string;
  readonly password: string;
}

/** What both SASL listeners speak. */
export const saslMechanisms: readonly string[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'];

/** What a broker with secure listeners needs beside its ports. */
export interface BrokerSecurity {
  readonly serverKeyStore: string;
  readonly ca: string;
  readonly plainUser: KafkaUser;
}

/** `server.properties` of one broker of a test cluster, which is a controller too. */
export function brokerProperties(
  nodeId: number,
  brokers: readonly BrokerPorts[],
  dataDirectory: string,
  security?: BrokerSecurity,
): string {
  const ports = brokers[nodeId - 1];
  if (ports === undefined) throw new RangeError(`there is no broker ${nodeId} of ${brokers.length}`);
  const replicas = brokers.length;
  const listeners: Record<string, number> = {
    PLAINTEXT: ports.plain,
    ...(security && {
      TLS: ports.tls,
      MUTUAL_TLS: ports.mutualTls,
      SASL_TLS: ports.saslTls,
      SASL_PLAIN: ports.saslPlain,
    }),
  };
  const addresses = Object.entries(listeners).map(([name, port]) => `${name}://127.0.0.1:${port}`);
  const properties: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': nodeId,
    'controller.quorum.voters': brokers.map((each, index) => `${index + 1}@127.0.0.1:${each.controller}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: [...addresses, `CONTROLLER://127.0.0.1:${ports.controller}`].join(','),
    'advertised.listeners': addresses.join(','),
    'listener.security.protocol.map':
      'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MUTUAL_TLS:SSL,SASL_TLS:SASL_SSL,SASL_PLAIN:SASL_PLAINTEXT',
    'log.dirs': dataDirectory,
    'auto.create.topics.enable': 'false',

    'default.replication.factor': replicas,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': Math.min(2, replicas),
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': Math.min(2, replicas),

    // A broker answers a rebalance of the new protocol at its members' next heartbeat: every 5 s by default.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    'group.consumer.min.heartbeat.interval.ms': 100,
    // Longer where a broker may be killed: a group answers again when that one is fenced, and librdkafka gives a heartbeat up when its interval is
    // over. Of an assignment that comes too late it never hears again, and the member that is to get the partitions waits.
    'group.consumer.heartbeat.interval.ms': replicas > 1 ? 3_000 : 500,
    ...(replicas > 1 ? { 'broker.heartbeat.interval.ms': 500, 'broker.session.timeout.ms': 2_000 } : {}),
    ...(replicas > 1 ? rack(nodeId) : {}),
    'group.consumer.min.session.timeout.ms': 1_000,
    'group.consumer.session.timeout.ms': 10_000,
    // Compaction and the end of abandoned transactions within a test's patience.
    'log.cleaner.backoff.ms': 500,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
    ...(security && securityProperties(security)),
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Each broker stands in one of its own: a client that says where it is reads from the replica there (KIP-392). */
function rack(nodeId: number): Record<string, string> {
  const selector = 'org.apache.kafka.common.replica.RackAwareReplicaSelector';
  return { 'broker.rack': `rack-${nodeId}`, 'replica.selector.class': selector };
}

function securityProperties({ serverKeyStore, ca, plainUser }: BrokerSecurity): Record<string, string> {
  const loginModule = (name: string, options = ''): string =>
    `org.apache.kafka.common.security.${name} required${options};`;
  const mechanisms: Record<string, string> = {
    plain: loginModule('plain.PlainLoginModule', ` user_${plainUser.username}="${plainUser.password}"`),
    'scram-sha-256': loginModule('scram.ScramLoginModule'),
    'scram-sha-512': loginModule('scram.ScramLoginModule'),
    oauthbearer: loginModule('oauthbearer.OAuthBearerLoginModule', ' unsecuredLoginStringClaim_sub="broker"'),
  };
  const saslListeners = ['sasl_tls', 'sasl_plain'].flatMap((listener) => [
    [`listener.name.${listener}.sasl.enabled.mechanisms`, saslMechanisms.join(',')] as const,
    ...Object.entries(mechanisms).map(
      ([mechanism, config]) => [`listener.name.${listener}.${mechanism}.sasl.jaas.config`, config] as const,
    ),
  ]);
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': serverKeyStore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': ca,
    'listener.name.mutual_tls.ssl.client.auth': 'required',
    // Everything is allowed until somebody adds an ACL; the plain listener stays the administrator's.
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
    'allow.everyone.if.no.acl.found': 'true',
    ...Object.fromEntries(saslListeners),
  };
}
