import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { confluentKafka } from '../confluent/index.ts';
import { deadLetterHeaders } from '../dead-letter-message.ts';
import type { KafkaCluster, KafkaConsumer } from '../kafka-client.ts';
import type { OutgoingRecord, ReceivedRecord } from '../record.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { embeddedKafka } from '../testing/embedded-kafka.ts';
import { sourceProgram } from '../testing/source-program.ts';

const program = fileURLToPath(new URL('./kafka-worker.ts', import.meta.url));
const PARTITIONS = 3;

const children = new Set<() => void>();
const directory = mkdtempSync(join(tmpdir(), 'kafka-worker-redrive-'));
afterAll(() => {
  for (const kill of children) kill();
  rmSync(directory, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command in a process of its own. */
function start(args: readonly string[]): { kill(signal: NodeJS.Signals): void; readonly ended: Promise<Ended> } {
  const child = spawn(process.execPath, sourceProgram(program, ...args), { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill('SIGKILL');
  children.add(kill);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code) => {
      children.delete(kill);
      resolve({ code, stdout, stderr });
    });
  });
  return { kill: (signal) => void child.kill(signal), ended };
}

function writeConfig(config: object): string {
  const file = join(directory, `${uniqueName('config')}.json`);
  writeFileSync(file, JSON.stringify(config));
  return file;
}

describe('kafka-worker', () => {
  it.each<[string, readonly string[], number, RegExp]>([
    ['--help', ['--help'], 0, /usage: kafka-worker COMMAND/],
    ['redrive --help', ['redrive', '--help'], 0, /usage: kafka-worker redrive .*--dry-run/s],
    ['--version', ['--version'], 0, /^\d+\.\d+\.\d+\n$/],
    ['no command', [], 2, /which command\?/],
    ['a command that there is not', ['retry'], 2, /there is no "retry"; it knows redrive/],
    [
      'a flag that there is not',
      ['redrive', '--form', 't'],
      2,
      /Unknown option '--form'; it knows --kafka, --config, --from/,
    ],
    [
      'an unreadable config',
      ['redrive', '--from', 't', '--config', '/nowhere.json'],
      2,
      /nowhere\.json cannot be read/,
    ],
    [
      'an address that is none',
      ['redrive', '--from', 't', '--kafka', 'localhost'],
      2,
      /--kafka: brokers\[0\]: expected/,
    ],
  ])('answers %s', async (_name, args, code, text) => {
    const ended = await start(args).ended;
    expect([ended.code, ended.stdout + ended.stderr]).toEqual([code, expect.stringMatching(text)]);
    expect(code === 0 ? ended.stderr : ended.stdout).toBe('');
  });
});

describeCommand('the embedded cluster', async () => {
  const kafka = await embeddedKafka();
  return { cluster: kafka, dispose: () => kafka[Symbol.asyncDispose](), isReal: false };
});

const brokers = process.env.KAFKA_BROKERS;
if (brokers === undefined) {
  describe('kafka-worker redrive on Kafka', () => {
    it.skip('needs a broker: set KAFKA_BROKERS', () => {});
  });
} else {
  describeCommand('Kafka', () =>
    Promise.resolve({
      cluster: confluentKafka({ brokers: brokers.split(',') }),
      dispose: () => Promise.resolve(),
      isReal: true,
    }),
  );
}

interface Place {
  readonly cluster: KafkaCluster;
  readonly isReal: boolean;
  dispose(): PromiseLike<void>;
}

function describeCommand(name: string, open: () => Promise<Place>): void {
  describe(`kafka-worker redrive on ${name}`, () => {
    let place: Place;
    let clients: TestClients;
    let reader: KafkaConsumer;
    beforeAll(async () => {
      place = await open();
      clients = new TestClients({ ...place, clock: systemClock });
      reader = await clients.consumer({ groupProtocol: 'classic' });
    });
    afterAll(async () => {
      await clients.close();
      await place.dispose();
    });

    /** Dead letters of `orders`, whose values are their own positions. */
    async function topics(count: number): Promise<{ dead: string; orders: string }> {
      const [dead, orders] = [await clients.topic(PARTITIONS), await clients.topic(PARTITIONS)];
      const messages = Array.from({ length: count }, (_, i): OutgoingRecord => {
        const partition = i % PARTITIONS;
        const value = `${partition}:${Math.floor(i / PARTITIONS)}`;
        const headers = [
          ['trace', `of ${value}`],
          [deadLetterHeaders.topic, orders],
          [deadLetterHeaders.errorClass, 'TypeError'],
        ] as const;
        return { topic: dead, partition, key: `key ${value}`, value, headers };
      });
      await clients.send(messages);
      return { dead, orders };
    }

    /** Regroups soon after a kill, on the mock cluster too. */
    const command = (dead: string, ...more: readonly string[]): string[] => {
      const config = writeConfig({ librdkafka: { 'session.timeout.ms': place.isReal ? 6_000 : 2_000 } });
      return ['redrive', '--kafka', place.cluster.brokers.join(','), '--from', dead, '--config', config, ...more];
    };

    async function committed(dead: string): Promise<Map<number, number>> {
      const options = { groupId: `kafka-worker.redrive.${dead}`, groupProtocol: 'classic' } as const;
      const asking = await clients.consumer(options);
      const list = await asking.committed(
        Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: dead, partition })),
      );
      await asking.close();
      return new Map(list.map(({ partition, offset }) => [partition, offset ?? 0]));
    }

    async function committedCount(dead: string): Promise<number> {
      return [...(await committed(dead)).values()].reduce((sum, offset) => sum + offset, 0);
    }

    async function everything(topic: string): Promise<readonly ReceivedRecord[]> {
      const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }));
      const ends = await reader.offsetsFor(partitions, 'latest');
      const member = await clients.member([topic], { groupProtocol: 'classic' });
      const isThere = (): boolean =>
        ends.every(({ partition, offset }) => (member.positions.get(`${topic}/${partition}`) ?? 0) >= offset);
      await member.until('everything is read', () => ends.every(({ offset }) => offset === 0) || isThere());
      await member.consumer.close();
      return member.records;
    }

    it('sends everything back, and shows before what it would do', async () => {
      const { dead, orders } = await topics(90);
      const dry = await start(command(dead, '--dry-run')).ended;
      expect([dry.code, dry.stderr]).toEqual([0, '']);
      expect(dry.stdout).toMatch(new RegExp(`^${dead}/(.) offset 0 to ${orders}: key "key \\1:0", 3 bytes$`, 'm'));
      expect(dry.stdout).toMatch(`90 dead letters of ${dead} would be sent (${orders} 90); nothing was written`);
      expect([await committedCount(dead), (await everything(orders)).length]).toEqual([0, 0]);

      const limited = await start(command(dead, '--limit', '40')).ended;
      expect(limited).toMatchObject({
        code: 0,
        stdout: `40 dead letters sent (${orders} 40), at most 50 left in ${dead}\n`,
      });
      const rest = await start(command(dead)).ended;
      expect(rest).toMatchObject({ code: 0, stdout: `50 dead letters sent (${orders} 50)\n` });
      const sent = await everything(orders);
      expect(new Set(sent.map(({ value }) => String(value))).size).toBe(90);
      expect(sent).toHaveLength(90);
      for (const { key, value, headers } of sent) {
        expect(String(key)).toBe(`key ${String(value)}`);
        expect([...headers].map(([header, text]) => [header, String(text)])).toEqual([
          ['trace', `of ${String(value)}`],
          ['redrive.count', '1'],
        ]);
      }
      expect((await start(command(dead)).ended).stdout).toBe('0 dead letters sent\n');
    }, 120_000);

    it('killed, repeats at most what was not committed, and loses nothing', async () => {
      const { dead, orders } = await topics(900);
      const first = start(command(dead, '--rate', '150'));
      while ((await committedCount(dead)) < 150) await sleep(50);
      first.kill('SIGKILL');
      expect((await first.ended).code).toBeNull();
      const before = await committed(dead);
      expect((await start(command(dead)).ended).code).toBe(0);
      const seen = new Set<string>();
      const repeated: string[] = [];
      for (const { value } of await everything(orders)) {
        if (seen.has(String(value))) repeated.push(String(value));
        seen.add(String(value));
      }
      expect(seen.size).toBe(900);
      expect(before.size).toBe(PARTITIONS);
      const wereCommitted = repeated.filter((value) => {
        const [partition, offset] = value.split(':').map(Number);
        return Number(offset) < (before.get(Number(partition)) ?? 0);
      });
      expect(wereCommitted).toEqual([]);
    }, 120_000);

    it('interrupted, finishes what is under way, commits it, and repeats nothing', async () => {
      const { dead, orders } = await topics(600);
      const first = start(command(dead, '--rate', '150'));
      while ((await committedCount(dead)) < 100) await sleep(50);
      first.kill('SIGINT');
      const ended = await first.ended;
      expect(ended).toMatchObject({ code: 1, stdout: expect.stringMatching(/^interrupted: \d+ dead letters sent/) });
      expect(ended.stderr).toMatch('what is being written is awaited');
      const sent = await everything(orders);
      expect(ended.stdout).toMatch(`interrupted: ${sent.length} dead letters sent`);
      expect(await committedCount(dead)).toBe(sent.length);
      expect((await start(command(dead)).ended).code).toBe(0);
      expect(await everything(orders)).toHaveLength(600);
    }, 120_000);

    it('shares with another one, and both end', async () => {
      // The mock cluster takes ten seconds and more to regroup.
      if (!place.isReal) return;
      const { dead, orders } = await topics(600);
      const both = [start(command(dead, '--rate', '50')), start(command(dead, '--rate', '50'))];
      const ended = await Promise.all(both.map((one) => one.ended));
      expect(ended.map(({ code }) => code)).toEqual([0, 0]);
      const values = (await everything(orders)).map(({ value }) => String(value));
      expect(new Set(values).size).toBe(600);
    }, 120_000);

    it('stops at what cannot be sent, and says why', async () => {
      const { dead } = await topics(3);
      expect(await start(command(dead, '--to', uniqueName('gone'))).ended).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/unknown topic/),
      });
      const [noSource, other] = [await clients.topic(PARTITIONS), await clients.topic(PARTITIONS)];
      await clients.send([{ topic: noSource, partition: 0, value: 'a' }]);
      expect(await start(command(noSource)).ended).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/offset 0 .*does not say where it came from .*0 sent before that.*run it again/s),
      });
      expect((await start(command(noSource, '--to', other)).ended).stdout).toBe(`1 dead letter sent (${other} 1)\n`);
    }, 120_000);

    it('stays before a dead letter that is too large for its target', async () => {
      if (!place.isReal) return;
      const small = uniqueName('small');
      const admin = place.cluster.admin(clients.options);
      await admin.connect({ timeoutMs: 10_000 });
      await admin.createTopic(small, { partitions: 1, config: { 'max.message.bytes': '1000' } });
      await admin.close();
      const dead = await clients.topic(1);
      await clients.send(['x', 'y'.repeat(5_000), 'z'].map((value) => ({ topic: dead, partition: 0, value })));
      const ended = await start(command(dead, '--to', small)).ended;
      expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(`${dead}/0 offset 1 failed .*too large`) });
      expect((await committed(dead)).get(0)).toBe(1);
    }, 120_000);
  });
}

const secure = process.env.KAFKA_SECURE;
if (secure === undefined || brokers === undefined) {
  describe('kafka-worker redrive over TLS and SASL', () => {
    it.skip('needs a broker with secure listeners: set KAFKA_BROKERS and KAFKA_SECURE', () => {});
  });
} else {
  const { ca, clientCertificate, clientKey, bootstrap, scramUser } = JSON.parse(readFileSync(secure, 'utf8')) as {
    readonly ca: string;
    readonly clientCertificate: string;
    readonly clientKey: string;
    readonly bootstrap: Readonly<Record<'saslTls' | 'mutualTls', string>>;
    readonly scramUser: { readonly username: string; readonly password: string };
  };

  describe('kafka-worker redrive over TLS and SASL', () => {
    // Names in the file are relative to it, not to where the command runs.
    for (const [name, target] of Object.entries({ ca, clientCertificate, clientKey })) {
      symlinkSync(target, join(directory, `${name}.pem`));
    }
    const sasl = { mechanism: 'scram-sha-256', ...scramUser };

    it.each<[string, string, object]>([
      ['SASL over TLS', bootstrap.saslTls, { tls: { ca: 'ca.pem' }, sasl }],
      [
        'client certificates',
        bootstrap.mutualTls,
        { tls: { ca: 'ca.pem', cert: 'clientCertificate.pem', key: 'clientKey.pem' } },
      ],
      [
        'properties of librdkafka',
        bootstrap.mutualTls,
        {
          librdkafka: {
            ...{ 'security.protocol': 'ssl', 'ssl.ca.location': 'ca.pem' },
            ...{ 'ssl.certificate.location': 'clientCertificate.pem', 'ssl.key.location': 'clientKey.pem' },
          },
        },
      ],
    ])(
      'takes %s from its file',
      async (_name, server, config) => {
        const clients = new TestClients({
          ...{ cluster: confluentKafka({ brokers: brokers.split(',') }), clock: systemClock },
          dispose: () => Promise.resolve(),
        });
        const [dead, orders] = [await clients.topic(1), await clients.topic(1)];
        await clients.sendNumbers(dead, 0, 5);
        await clients.close();
        const file = writeConfig({ brokers: [server], ...config });
        const ended = await start(['redrive', '--config', file, '--from', dead, '--to', orders]).ended;
        expect(ended).toEqual({ code: 0, stdout: `5 dead letters sent (${orders} 5)\n`, stderr: '' });
      },
      60_000,
    );

    it('says that it is not let in', async () => {
      const wrong = { brokers: [bootstrap.saslTls], tls: { ca: 'ca.pem' }, sasl: { ...sasl, password: 'wrong' } };
      const ended = await start(['redrive', '--config', writeConfig(wrong), '--from', 'any']).ended;
      expect(ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/authentication/i) });
    }, 60_000);
  });
}
