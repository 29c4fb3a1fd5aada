// Calls the public functions that lead to native code with wrong values, for a test that sees this process end. Arguments: what to call, how often, seed.
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { systemClock } from '../clock.ts';
import { confluentKafka } from '../confluent/index.ts';
import type { KafkaCluster } from '../kafka-client.ts';
import { isKafkaWorkerError } from '../kafka-worker-error.ts';
import { type EmbeddedKafka, embeddedKafka } from './embedded-kafka.ts';

type Call = (...values: unknown[]) => unknown;

const [what = '', runs = '100', seed = '1'] = process.argv.slice(2);
const parameters = { numRuns: Number(runs), seed: Number(seed) };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const client = { clock: systemClock, logger: quiet };
const member = { ...client, groupId: 'g', groupProtocol: 'consumer' } as const;
const certificate = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
const unreachable = '127.0.0.1:1';

/** Values of every type. A description is a value made anew each time, and what fast-check prints. */
const wrong = fc.constantFrom<unknown>(
  ...[
    undefined,
    null,
    true,
    false,
    0,
    -0,
    -1,
    1,
    1.5,
    1e9,
    2 ** 31,
    2 ** 53,
    -(2 ** 63),
    Number.NaN,
    Number.POSITIVE_INFINITY,
    5n,
  ],
  ...['', ' ', 'x', '0', 'a\0b', 'ä', '\ud800', 'x'.repeat(100_000), 'none:0', 'none:99999', 'none', '__proto__'],
  ...[
    [],
    {},
    [[]],
    [undefined],
    [null],
    [{}],
    ['x'],
    [1],
    { length: 1 },
    { partition: 0 },
    { topic: 't', partition: '0' },
  ],
  ...[
    () => undefined,
    Symbol('s'),
    Buffer.alloc(0),
    Buffer.from('x'),
    new Uint8Array(3),
    new Date(Number.NaN),
    new Map([['a', 1]]),
    /x/,
  ],
  ...[
    Object.create(null),
    Object.create(Buffer.prototype as object),
    new Proxy({}, {}),
    new Error('no'),
    Promise.resolve(1),
    new String('t'),
  ],
);

const properties = [
  ...[
    'linger.ms',
    'message.max.bytes',
    'queue.buffering.max.kbytes',
    'queue.buffering.max.messages',
    'debug',
    'client.rack',
  ],
  ...[
    'statistics.interval.ms',
    'socket.timeout.ms',
    'ssl.ca.location',
    'ssl.ca.pem',
    'security.protocol',
    'sasl.mechanisms',
  ],
  ...[
    'sasl.oauthbearer.method',
    'sasl.oauthbearer.config',
    'max.in.flight',
    'retries',
    'acks',
    'partitioner',
    'compression.type',
  ],
  ...[
    'enable.gapless.guarantee',
    'interceptors',
    'opaque',
    'default_topic_conf',
    'log_cb',
    'log_level',
    'message.timeout.ms',
  ],
  ...[
    'session.timeout.ms',
    'group.protocol.type',
    'fetch.wait.max.ms',
    'receive.message.max.bytes',
    'broker.address.family',
  ],
  ...[
    '',
    'a\0b',
    'no.such.property',
    '__proto__',
    'toString',
    'builtin.features',
    'plugin.library.paths',
    'topic.blacklist',
  ],
];

/** Values that are right, all but one to three of them, wherever these stand. */
function spoilt(right: object): fc.Arbitrary<unknown> {
  const paths = pathsOf(right);
  const spots = fc.array(fc.tuple(fc.constantFrom(...paths), wrong), { minLength: 1, maxLength: 3 });
  return fc.oneof(
    {
      weight: 20,
      arbitrary: spots.map((changes) =>
        changes.reduce<unknown>((value, [path, to]) => changed(value, path, to), right),
      ),
    },
    { weight: 1, arbitrary: wrong },
  );
}

function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => [[name], ...pathsOf(inner).map((path) => [name, ...path])]);
}

function changed(value: unknown, [name = '', ...rest]: readonly string[], to: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const copy: unknown = Array.isArray(value) ? [...(value as unknown[])] : { ...value };
  const inner = rest.length === 0 ? to : changed((value as Record<string, unknown>)[name], rest, to);
  // A property may be called __proto__.
  return Object.defineProperty(copy, name, { value: inner, enumerable: true, configurable: true, writable: true });
}

/** Calls it. Whatever comes of it, an error must be one of this library. */
async function attempt(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    if (isKafkaWorkerError(error)) return undefined;
    throw error;
  }
}

/** Makes every kind of client, uses it without a broker, and closes it. */
async function useCluster(
  cluster: KafkaCluster,
  given: { member: unknown; client: unknown; connect: unknown },
): Promise<void> {
  const use = async (made: unknown, connectOptions: unknown): Promise<void> => {
    const one = made as { connect: Call; close: Call } | undefined;
    const connecting = attempt(() => one?.connect(connectOptions));
    // What is right by chance may take its time.
    await Promise.race([connecting, pause(200)]);
    await attempt(() => one?.close(0));
    await connecting;
  };
  await Promise.all([
    use(await attempt(() => cluster.consumer(given.member as never)), given.connect),
    use(await attempt(() => cluster.producer(given.client as never)), given.connect),
    use(await attempt(() => cluster.admin(given.client as never)), given.connect),
  ]);
}

const connect = { timeoutMs: 1, signal: new AbortController().signal };
const sasl = { mechanism: 'plain', username: 'u', password: 'p' };
const token = { value: 't', expiresAt: Date.now() + 3_600_000, principal: 'p', extensions: { a: 'b' } };

/** Options of a cluster. Few of the wrong ones are left when librdkafka sees them, but those that are must do no harm. */
const clusterOptions = fc.oneof(
  spoilt({
    brokers: [unreachable, unreachable],
    clientId: 'c',
    rack: 'r',
    tls: true,
    sasl,
    librdkafka: { 'linger.ms': 5 },
  }),
  spoilt({ brokers: [unreachable], tls: { ca: certificate, cert: certificate, key: certificate, passphrase: 'p' } }),
  spoilt({ brokers: [unreachable], sasl: { mechanism: 'oauthbearer', token: () => Promise.resolve(token) } }),
  spoilt(token).map((given) => ({ brokers: [unreachable], sasl: { mechanism: 'oauthbearer', token: () => given } })),
  fc
    .dictionary(fc.constantFrom(...properties), wrong, { minKeys: 1, maxKeys: 3 })
    .map((librdkafka) => ({ brokers: [unreachable], librdkafka })),
);

async function clusters(): Promise<void> {
  const property = fc.asyncProperty(clusterOptions, async (options) => {
    const cluster = (await attempt(() => confluentKafka(options as never))) as KafkaCluster | undefined;
    if (cluster !== undefined) await useCluster(cluster, { member, client, connect });
  });
  await fc.assert(property, parameters);
}

async function clients(): Promise<void> {
  const cluster = confluentKafka({ brokers: [unreachable] });
  const given = fc.record({
    member: spoilt({ ...member, clientId: 'c', groupInstanceId: 'i' }),
    client: spoilt({ ...client, clientId: 'c' }),
    connect: spoilt(connect),
  });
  const property = fc.asyncProperty(given, (options) => useCluster(cluster, options));
  await fc.assert(property, parameters);
}

const offset = { topic: 't', partition: 0, offset: 1, metadata: 'm', leaderEpoch: 1 };
const message = {
  topic: 't',
  partition: 0,
  key: Buffer.from('k'),
  value: Buffer.from('v'),
  headers: [
    ['a', Buffer.from('b')],
    ['c', null],
  ],
};

/** A connected client's methods, and arguments of theirs that are right. */
const calls: readonly (readonly ['consumer' | 'producer' | 'admin' | 'kafka', string, readonly unknown[]])[] = [
  ['consumer', 'subscribe', [['t']]],
  ['consumer', 'poll', [10, 5]],
  ['consumer', 'commit', [[offset, offset]]],
  ['consumer', 'committed', [[offset]]],
  ['consumer', 'assign', [[offset]]],
  ['consumer', 'release', [[offset]]],
  ['consumer', 'pause', [[offset]]],
  ['consumer', 'resume', [[offset]]],
  ['consumer', 'seek', [[offset]]],
  ['consumer', 'watermarks', [offset]],
  ['consumer', 'offsetsFor', [[offset], 'latest']],
  ['consumer', 'partitionCounts', [['t']]],
  ['producer', 'check', [message]],
  ['producer', 'send', [message]],
  ['admin', 'createTopic', ['new', { partitions: 1, config: { 'retention.ms': '1' } }]],
  ['admin', 'deleteTopic', ['new']],
  ['kafka', 'createTopic', ['new', { partitions: 1 }]],
  ['kafka', 'send', [[message]]],
  ['kafka', 'deleteRecords', ['t', 0, 1]],
  ['kafka', 'pushErrors', [60, [1]]],
  ['kafka', 'setBrokerUp', [1]],
];

/** So many calls by one set of clients, since what a wrong one leaves behind may harm a later one. */
async function methods(): Promise<void> {
  const kafka: EmbeddedKafka = await embeddedKafka({ topics: { t: { partitions: 1 } } });
  const open = { consumer: kafka.consumer(member), producer: kafka.producer(client), admin: kafka.admin(client) };
  for (const one of Object.values(open)) await one.connect({ timeoutMs: 10_000 });
  open.consumer.subscribe(['t']);
  const objects = { ...open, kafka } as unknown as Record<string, Record<string, Call>>;
  const call = fc
    .constantFrom(...calls)
    .chain(([object, name, right]) => spoilt(right).map((given) => [object, name, given] as const));
  const property = fc.asyncProperty(call, async ([object, name, given]) => {
    const done = attempt(() => objects[object]?.[name]?.(...(Array.isArray(given) ? (given as unknown[]) : [given])));
    await Promise.race([done, pause(50)]);
    void attempt(() => done);
  });
  try {
    await fc.assert(property, parameters);
  } finally {
    await kafka[Symbol.asyncDispose]();
  }
}

const scenarios: Readonly<Record<string, () => Promise<void>>> = { clusters, clients, methods };

try {
  await scenarios[what]?.();
  writeSync(1, 'done\n');
} catch (error) {
  const { stack, cause } = error as Error;
  process.exitCode = 1;
  writeSync(2, `${stack}\n${cause instanceof Error ? cause.stack : ''}`);
}
// It ends by itself: a client that was closed in the middle of something must not keep it.
