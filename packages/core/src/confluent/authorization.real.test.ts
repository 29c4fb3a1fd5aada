import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { kafkaTool } from '../../../../scripts/kafka-jars.ts';
import { systemClock } from '../clock.ts';
import { AuthorizationError, CommitError } from '../errors.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { always } from '../testing/stage.ts';
import { Worker } from '../worker.ts';
import { confluentKafka } from './index.ts';

const brokers = process.env.KAFKA_BROKERS;
const file = process.env.KAFKA_SECURE;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('not in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface SecureKafka {
  readonly bootstrap: { readonly saslPlain: string };
  readonly plainUser: { readonly username: string; readonly password: string };
}

if (brokers === undefined || file === undefined) {
  describe('Kafka with ACLs', () => {
    it.skip('needs a broker with an authorizer: set KAFKA_BROKERS and KAFKA_SECURE (npm run kafka -- start --secure)', () => {});
  });
} else {
  describeAuthorization(brokers, JSON.parse(readFileSync(file, 'utf8')) as SecureKafka);
}

/** The plain listener's clients are administrators; whom the rules are about logs in. */
function describeAuthorization(plain: string, secure: SecureKafka): void {
  const { username, password } = secure.plainUser;
  const options = {
    brokers: [secure.bootstrap.saslPlain],
    sasl: { mechanism: 'plain', username, password },
    librdkafka: { 'fetch.wait.max.ms': 100 },
  } as const;
  const asUser = confluentKafka(options);
  const asAdministrator = confluentKafka({ brokers: plain.split(',') });
  const admins = new TestClients({ cluster: asAdministrator, clock: systemClock, dispose: () => Promise.resolve() });
  const users = new TestClients({ cluster: asUser, clock: systemClock, dispose: () => Promise.resolve() });
  const rules: string[][] = [];

  async function acl(change: '--add' | '--remove', rule: readonly string[]): Promise<void> {
    const force = change === '--remove' ? ['--force'] : [];
    const args = ['--bootstrap-server', plain, change, ...force, ...rule];
    const { exitCode, stdout, stderr } = await kafkaTool('AclCommand', args);
    if (exitCode !== 0) throw new Error(`AclCommand failed: ${stdout}${stderr}`);
  }

  /** All rules at once: a tool's start takes seconds. Nobody else has rights on the resource then, but administrators. */
  async function rule(
    kind: 'allow' | 'deny',
    resource: '--topic' | '--group',
    name: string,
    operation: string,
  ): Promise<void> {
    const one = [`--${kind}-principal`, `User:${username}`, '--operation', operation, resource, name];
    rules.push(one);
    await acl('--add', one);
  }

  describe('Kafka with ACLs', () => {
    afterEach(async () => {
      await Promise.all([users.close(), admins.close()]);
      await Promise.all(rules.splice(0).map((one) => acl('--remove', one)));
    });

    it('names a topic that may not be described, in every question about it, and tells it from one that does not exist', async () => {
      const [hidden, open] = [await admins.topic(1), await admins.topic(1)];
      await rule('deny', '--topic', hidden, 'DESCRIBE');
      const consumer = await users.consumer({ groupProtocol: 'consumer' });
      const refused = {
        name: 'AuthorizationError',
        retriable: false,
        operation: 'DESCRIBE',
        topics: [hidden],
        message: expect.stringContaining(`topic "${hidden}": this user may not DESCRIBE it`),
      };
      const partitions = [open, hidden].map((topic) => ({ topic, partition: 0 }));
      await expect(consumer.partitionCounts([open, hidden])).rejects.toMatchObject(refused);
      await expect(consumer.committed(partitions)).rejects.toMatchObject(refused);
      await expect(consumer.offsetsFor(partitions, 'latest')).rejects.toMatchObject(refused);
      await expect(consumer.offsetsFor(partitions.slice(1), 'earliest')).rejects.toMatchObject(refused);
      expect([...(await consumer.partitionCounts([open, uniqueName('unknown')]))]).toEqual([[open, 1]]);
      expect([...(await consumer.partitionCounts()).keys()]).not.toContain(hidden);
    });

    it('ends a worker on a topic that may not be described with an error that says so, and not that it is unknown', async () => {
      const hidden = await admins.topic(1);
      await rule('deny', '--topic', hidden, 'DESCRIBE');
      const worker = new Worker({
        ...{ kafka: asUser, groupId: uniqueName('group'), topics: hidden, logger: quiet },
        handler: () => {},
      });
      worker.finished.catch(() => {});
      await expect(worker.start()).rejects.toMatchObject({ name: 'AuthorizationError', topics: [hidden] });
    });

    it.each(['classic', 'consumer'] as const)(
      'names a group that may not be read (%s), and says so of its commits',
      async (groupProtocol) => {
        const topic = await admins.topic(1);
        const groupId = uniqueName('group');
        await rule('allow', '--group', groupId, 'DESCRIBE');
        const member = await users.member([topic], { groupProtocol, groupId });
        await member.until('it is reported', () => member.errors.length > 0);
        expect(member.errors[0]).toMatchObject({
          name: 'AuthorizationError',
          retriable: false,
          operation: 'READ',
          groupId,
        });
        // To this protocol's client it is fatal: it knows no more reason then.
        if (groupProtocol === 'consumer') return;
        const commit = member.consumer.commit([{ topic, partition: 0, offset: 0 }]);
        const error: unknown = await commit.catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(CommitError);
        expect((error as CommitError).failures).toMatchObject([{ topic, partition: 0, kafkaCode: 30 }]);
        expect(error).toMatchObject({ cause: { name: 'AuthorizationError', operation: 'READ', groupId } });
      },
    );

    it('names the group when committed offsets may not be seen', async () => {
      const topic = await admins.topic(1);
      const groupId = uniqueName('group');
      const member = await users.member([topic], { groupProtocol: 'consumer', groupId });
      await member.untilOwned(1);
      await rule('deny', '--group', groupId, 'DESCRIBE');
      const refused = { name: 'AuthorizationError', operation: 'DESCRIBE', groupId };
      await expect(member.consumer.committed([{ topic, partition: 0 }])).rejects.toMatchObject(refused);
    });

    it('keeps a record whose dead letter may not be written, says so, and writes it when it may', async () => {
      const [topic, dead] = [await admins.topic(1), await admins.topic(1)];
      await rule('allow', '--topic', dead, 'DESCRIBE');
      await (await admins.producer()).send({ topic, partition: 0, value: 'x' });
      const failures: Error[] = [];
      const worker = new Worker({
        ...{ kafka: asUser, groupId: uniqueName('group'), topics: topic, logger: quiet, commit: { everyMs: 100 } },
        onFailure: always({ do: 'dead-letter', topic: dead }),
        handler: () => {
          throw new Error('no');
        },
      });
      worker.finished.catch(() => {});
      worker.on('dead-letter-failed', ({ error }) => void failures.push(error));
      await worker.start();
      await until(() => failures.length > 0);
      expect(failures[0]).toMatchObject({ name: 'ProduceError', topic: dead, retriable: false });
      expect(String(failures[0])).toMatch(/topic authorization failed/i);
      expect(worker.health()).toMatchObject({ live: true, reasons: [expect.stringContaining(dead)] });
      expect(worker.status().partitions[0]?.nextOffset).toBe(0);
      await rule('allow', '--topic', dead, 'WRITE');
      await until(() => worker.status().partitions[0]?.committedOffset === 1);
      expect(await worker.stop()).toMatchObject({ state: 'stopped', failed: 1, left: [] });
    }, 90_000);

    // The client drops the fetch's error behind the records of the other topic, and librdkafka gives it once.
    it.each([
      ['while its records flow', 60_000, 'librdkafka'],
      ['while its records flow and are committed', 100, 'librdkafka'],
      ['while it is at its end', 100, 'librdkafka'],
      ['while its records flow', 60_000, 'direct'],
    ] as const)(
      'ends a worker that may not read one of its topics any more, %s and the other flows (commits every %i ms, reader %s)',
      async (when, everyMs, reader) => {
        const [lost, flowing] = [await admins.topic(1), await admins.topic(1)];
        const groupId = uniqueName('group');
        await rule('allow', '--topic', lost, 'DESCRIBE');
        const read = ['--allow-principal', `User:${username}`, '--operation', 'READ', '--topic', lost];
        await acl('--add', read);
        const handled = new Map<string, number>();
        const worker = new Worker({
          ...{ kafka: confluentKafka({ ...options, reader }), groupId, topics: [lost, flowing], logger: quiet },
          commit: { everyMs, everyRecords: 1e6 },
          handler: ({ topic, offset }) => void handled.set(topic, offset + 1),
        });
        const ended = worker.finished.then(
          () => undefined,
          (error: unknown) => error,
        );
        await worker.start();
        const producer = await admins.producer();
        let isOver = false;
        let flowsLost = true;
        const flow = (async () => {
          while (!isOver) {
            const topics = [...Array<string>(20).fill(flowing), ...(flowsLost ? [lost] : [])];
            await Promise.all(topics.map((topic) => producer.send({ topic, partition: 0, value: 'x' })));
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
        })();
        void ended.then(() => {
          isOver = true;
        });
        while ((handled.get(lost) ?? 0) < 10) await new Promise((resolve) => setTimeout(resolve, 10));
        flowsLost = when !== 'while it is at its end';
        await new Promise((resolve) => setTimeout(resolve, 500));
        await acl('--remove', read);
        flowsLost = true;
        const error = await ended;
        await flow;
        // What is still to be committed of it may tell sooner: a commit needs the same right.
        // Whichever hears of it first: the reading, or a commit of what was handled before.
        const refusal = error instanceof CommitError ? error.cause : error;
        expect(refusal).toBeInstanceOf(AuthorizationError);
        expect(refusal).toMatchObject({ operation: 'READ', topics: [lost] });
        expect(worker.state).toBe('failed');
        const groups = await admins.consumer({ groupProtocol: 'consumer', groupId });
        const committed = await groups.committed([lost, flowing].map((topic) => ({ topic, partition: 0 })));
        for (const { topic, offset } of committed) expect(offset ?? 0).toBeLessThanOrEqual(handled.get(topic) ?? 0);
        expect(committed[1]?.offset).toBe(handled.get(flowing));
      },
      90_000,
    );
  });
}
