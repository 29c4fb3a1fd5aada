import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type FailurePolicy,
  type KafkaAdmin,
  type KafkaCluster,
  type ReceivedRecord,
  systemClock,
  Worker,
} from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { kafkaTool } from '../../../../scripts/kafka-jars.ts';
import { deadLetter, freezePartition, skip, stop } from '../index.ts';
import { exactlyOnce } from './exactly-once.ts';

const plain = process.env.KAFKA_BROKERS;
const file = process.env.KAFKA_SECURE;
const onSecureKafka = plain === undefined || file === undefined ? describe.skip : describe;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const clients = { clock: systemClock, logger: quiet };
const COUNT = 20;
/** The offset of each partition's record that sends what cannot be written; the last partition has none. */
const BAD = [5, 7, 9, undefined] as const;

interface SecureKafka {
  readonly bootstrap: { readonly saslPlain: string };
  readonly plainUser: { readonly username: string; readonly password: string };
}

/** Whom the rules are about; the plain listener's clients are administrators. */
function userOf(secure: SecureKafka) {
  const { username, password } = secure.plainUser;
  return {
    name: `User:${username}`,
    kafka: confluentKafka({
      brokers: [secure.bootstrap.saslPlain],
      sasl: { mechanism: 'plain', username, password },
    }),
  };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(20);
  }
}

onSecureKafka(
  'A message that a broker will never take, under exactlyOnce: too large, to an unknown topic, or denied,',
  () => {
    let asAdministrator: KafkaCluster;
    let admin: KafkaAdmin;
    const id = randomUUID();
    const denied = `denied-${id}`;
    const rules: string[][] = [];
    const workers: Worker[] = [];
    let user: ReturnType<typeof userOf>;

    async function acl(change: '--add' | '--remove', rule: readonly string[]): Promise<void> {
      const force = change === '--remove' ? ['--force'] : [];
      const { exitCode, stdout, stderr } = await kafkaTool('AclCommand', [
        ...['--bootstrap-server', plain ?? '', change],
        ...[...force, ...rule],
      ]);
      if (exitCode !== 0) throw new Error(`AclCommand failed: ${stdout}${stderr}`);
    }

    /** Nobody else has rights on the resource then, but administrators. */
    async function allow(principal: string, operation: string, ...resource: readonly string[]): Promise<void> {
      const rule = ['--allow-principal', principal, '--operation', operation, ...resource];
      rules.push(rule);
      await acl('--add', rule);
    }

    beforeAll(async () => {
      user = userOf(JSON.parse(readFileSync(file ?? '', 'utf8')) as SecureKafka);
      asAdministrator = confluentKafka({ brokers: (plain ?? '').split(',') });
      admin = asAdministrator.admin(clients);
      await admin.connect({ timeoutMs: 20_000 });
      await admin.createTopic(denied, { partitions: 1 });
      await allow(user.name, 'DESCRIBE', '--topic', denied);
    }, 60_000);
    afterEach(async () => {
      for (const worker of workers.splice(0)) await worker.stop();
    });
    afterAll(async () => {
      await Promise.all(rules.map((rule) => acl('--remove', rule)));
      await admin.close();
    }, 60_000);

    /** A worker at work on topics of its own. */
    async function atWork(onFailure: (dead: string) => FailurePolicy, forbidden = denied) {
      const own = randomUUID();
      const [groupId, topic, output] = [`g-${own}`, `in-${own}`, `out-${own}`];
      const [dead, unknown] = [`dead-${own}`, `unknown-${own}`];
      await admin.createTopic(topic, { partitions: BAD.length });
      // Less than what the client itself would refuse.
      await admin.createTopic(output, { partitions: 1, config: { 'max.message.bytes': '20000' } });
      await admin.createTopic(dead, { partitions: 1 });
      const producer = asAdministrator.producer(clients);
      await producer.connect({ timeoutMs: 20_000 });
      for (let i = 0; i < COUNT; i++)
        await Promise.all(BAD.map((_, partition) => producer.send({ topic, partition, value: `${partition}@${i}` })));
      await producer.close(5_000);
      let calls = 0;
      const worker = new Worker({
        ...{ kafka: user.kafka, groupId, topics: topic, logger: quiet, onFailure: onFailure(dead) },
        delivery: exactlyOnce({ transactionalIdPrefix: own }),
        handler: ({ partition, offset, value }, { send }) => {
          calls++;
          const isBad = offset === BAD[partition];
          if (isBad && partition === 0) send({ topic: output, value: Buffer.alloc(50_000, 1) });
          else send({ topic: isBad ? (partition === 1 ? unknown : forbidden) : output, value });
        },
      });
      worker.finished.catch(() => {});
      workers.push(worker);
      await worker.start();
      const committed = (): Record<string, number | undefined> =>
        Object.fromEntries(worker.status().partitions.map((one) => [one.partition, one.committedOffset]));
      return { worker, groupId, topic, output, dead, unknown, committed, calls: () => calls };
    }

    /** What a reader of a topic sees, when it has seen so many and nothing more comes. */
    async function valuesOf(topic: string, count: number): Promise<ReceivedRecord[]> {
      const reader = asAdministrator.consumer({ ...clients, groupId: `r-${randomUUID()}`, groupProtocol: 'classic' });
      await reader.connect({ timeoutMs: 20_000 });
      reader.subscribe([topic]);
      const records: ReceivedRecord[] = [];
      const deadline = Date.now() + 30_000;
      let quietSince = Date.now();
      while (Date.now() < deadline && (records.length < count || Date.now() - quietSince < 1_000)) {
        const poll = await reader.poll(500, 100);
        for (const { type, partitions } of poll.events) {
          if (type === 'assigned') reader.assign(partitions.map((one) => ({ ...one, offset: 0 })));
          else reader.release(partitions);
        }
        if (poll.records.length > 0) quietSince = Date.now();
        records.push(...poll.records);
      }
      await reader.close();
      return records;
    }

    /** In order per partition: what the records before these have sent, without those that cannot be written. */
    function outputsBelow(ends: readonly number[]): string[] {
      return ends.flatMap((end, partition) =>
        Array.from({ length: end }, (_, i) => i).flatMap((i) => (i === BAD[partition] ? [] : [`${partition}@${i}`])),
      );
    }
    const inOrder = (records: readonly ReceivedRecord[]): string[] => {
      const values = records.map(({ value }) => String(value));
      return BAD.flatMap((_, partition) => values.filter((value) => value.startsWith(`${partition}@`)));
    };
    const everything = { 0: COUNT, 1: COUNT, 2: COUNT, 3: COUNT };
    const isDone = (committed: object): boolean => JSON.stringify(committed) === JSON.stringify(everything);

    it('is dropped by skip', async () => {
      const { worker, output, committed, calls } = await atWork(() => skip({ log: false }));
      const failed: unknown[] = [];
      worker.on('failed', ({ record, error }) => failed.push([record.partition, record.offset, String(error)]));
      await until('everything is committed', () => isDone(committed()));
      expect(inOrder(await valuesOf(output, 4 * COUNT - 3))).toEqual(outputsBelow([COUNT, COUNT, COUNT, COUNT]));
      expect(failed.sort()).toEqual([
        [0, 5, expect.stringMatching(/too large/i)],
        [1, 7, expect.stringMatching(/unknown topic/i)],
        [2, 9, expect.stringMatching(/denied-.*may not WRITE/)],
      ]);
      expect(calls()).toBe(4 * COUNT);
    }, 90_000);

    it('has a dead letter in its place, in the transaction', async () => {
      const { output, dead, committed } = await atWork((topic) => deadLetter({ topic, brake: false }));
      await until('everything is committed', () => isDone(committed()));
      expect(inOrder(await valuesOf(output, 4 * COUNT - 3))).toEqual(outputsBelow([COUNT, COUNT, COUNT, COUNT]));
      expect((await valuesOf(dead, 3)).map(({ value }) => String(value)).sort()).toEqual(['0@5', '1@7', '2@9']);
    }, 90_000);

    it('ends the worker under stop, and what lies below it is written and committed', async () => {
      const { worker, groupId, topic, output } = await atWork(() => stop());
      await expect(worker.finished).rejects.toMatchObject({ code: 'HANDLER' });
      const group = asAdministrator.consumer({ ...clients, groupId, groupProtocol: 'classic' });
      await group.connect({ timeoutMs: 20_000 });
      const committed = await group.committed(BAD.map((_, partition) => ({ topic, partition })));
      await group.close();
      const ends = committed.map(({ offset }) => offset ?? 0);
      expect(ends.some((end, partition) => end === BAD[partition])).toBe(true);
      const expected = outputsBelow(ends);
      expect(inOrder(await valuesOf(output, expected.length))).toEqual(expected);
    }, 90_000);

    it('freezes its partition under freezePartition, and is written when that has become possible', async () => {
      const forbidden = `denied-${randomUUID()}`;
      await admin.createTopic(forbidden, { partitions: 1 });
      await allow(user.name, 'DESCRIBE', '--topic', forbidden);
      const { worker, topic, output, unknown, committed, calls } = await atWork(() => freezePartition(), forbidden);
      await until(
        'three are frozen',
        () => worker.status().partitions.filter((one) => one.frozen.length > 0).length === 3,
      );
      await until('what lies below is committed', () => JSON.stringify(committed()) === '{"0":5,"1":7,"2":9,"3":20}');
      expect(inOrder(await valuesOf(output, 41))).toEqual(outputsBelow([5, 7, 9, COUNT]));
      await admin.createTopic(unknown, { partitions: 1 });
      await allow(user.name, 'WRITE', '--topic', forbidden);
      await worker.unfreeze({ topic, partition: 0, skip: true });
      await worker.unfreeze({ topic, partition: 1 });
      await worker.unfreeze({ topic, partition: 2 });
      await until('everything is committed', () => {
        // Brokers hear of rights, and clients of topics, a moment later: until then it freezes again.
        for (const { partition, frozen } of worker.status().partitions)
          if (partition > 0 && frozen.length > 0) worker.unfreeze({ topic, partition }).catch(() => {});
        return isDone(committed());
      });
      expect(inOrder(await valuesOf(output, 4 * COUNT - 3))).toEqual(outputsBelow([COUNT, COUNT, COUNT, COUNT]));
      expect((await valuesOf(unknown, 1)).map(({ value }) => String(value))).toEqual(['1@7']);
      expect((await valuesOf(forbidden, 1)).map(({ value }) => String(value))).toEqual(['2@9']);
      expect(calls()).toBe(4 * COUNT);
      expect((await worker.stop()).left).toEqual([]);
    }, 120_000);

    it('is none where the transactional id is denied: the worker does not start, and says why', async () => {
      const prefix = `nobody-${id}`;
      await allow('User:nobody', 'WRITE', '--transactional-id', prefix, '--resource-pattern-type', 'prefixed');
      const worker = new Worker({
        ...{ kafka: user.kafka, groupId: `g-${id}`, topics: denied, logger: quiet, handler: () => {} },
        delivery: exactlyOnce({ transactionalIdPrefix: prefix }),
      });
      worker.finished.catch(() => {});
      await expect(worker.start()).rejects.toMatchObject({
        name: 'AuthorizationError',
        operation: 'WRITE',
        message: expect.stringContaining(`transactional id "${prefix}-`),
      });
    }, 60_000);
  },
);
