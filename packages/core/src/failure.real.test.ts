import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { kafkaTool } from '../../../scripts/kafka-jars.ts';
import { systemClock } from './clock.ts';
import { confluentKafka } from './confluent/index.ts';
import { deadLetterHeaders } from './dead-letter-message.ts';
import type { FailurePolicy } from './failure.ts';
import type { KafkaRecord } from './record.ts';
import { TestClients, uniqueName } from './testing/cluster-under-test.ts';
import { always } from './testing/stage.ts';
import { Worker } from './worker.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(10);
  }
}

async function onTopic(test: (clients: TestClients, topic: string) => Promise<void>): Promise<void> {
  const cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
  const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
  try {
    await test(clients, await clients.topic(2));
  } finally {
    await clients.close();
  }
}

function workerOn(
  topic: string,
  groupId: string,
  onFailure: FailurePolicy,
  handler: (name: string, record: KafkaRecord) => void,
  reader: 'auto' | 'direct' | 'librdkafka' = 'auto',
): Worker {
  const worker = new Worker({
    kafka: confluentKafka({
      ...{ brokers: (brokers ?? '').split(','), reader },
      librdkafka: { 'session.timeout.ms': 6_000, 'max.poll.interval.ms': 6_000 },
    }),
    ...{ groupId, topics: topic, logger: quiet, commit: { everyMs: 100 }, onFailure },
    handler: (record) => handler(`${record.partition}@${record.offset}`, record.copy()),
  });
  worker.finished.catch(() => {});
  return worker;
}

onRealKafka('a record that fails on real Kafka', () => {
  it.each([
    // The client does not tell a null header from an empty one.
    ['librdkafka', Buffer.alloc(0)],
    ['direct', null],
  ] as const)(
    'becomes a dead letter with the bytes that were sent, read by %s, and is committed',
    async (reader, noHeader) => {
      await onTopic(async (clients, topic) => {
        const dead = await clients.topic(1);
        const messages = [
          { key: null, value: null },
          { key: Buffer.alloc(0), value: Buffer.alloc(0) },
          {
            key: Buffer.from([0, 255]),
            value: Buffer.from([255, 0]),
            headers: [
              ['b', Buffer.from([255])],
              ['a', null],
              ['b', Buffer.alloc(0)],
            ] as const,
          },
        ];
        await clients.send(messages.map((one) => ({ topic, partition: 0, ...one })));
        const failing = (): never => {
          throw new Error('no');
        };
        const policy = always({ do: 'dead-letter', topic: dead });
        const worker = workerOn(topic, uniqueName('g'), policy, failing, reader);
        await worker.start();
        await until(() => worker.status().partitions[0]?.committedOffset === 3, 'the commit');
        expect(await worker.stop()).toMatchObject({ state: 'stopped', failed: 3, left: [] });
        const letters: KafkaRecord[] = [];
        const collect = (_name: string, record: KafkaRecord): void => void letters.push(record);
        // Whatever wrote them: this one reads what is there.
        const looking = workerOn(dead, uniqueName('g'), always({ do: 'stop' }), collect, 'direct');
        await looking.start();
        await until(() => letters.length === 3, 'the dead letters');
        await looking.stop();
        const own = Object.keys(deadLetterHeaders).length;
        expect(
          letters.map(({ key, value, headers }) => ({ key, value, headers: [...headers].slice(0, -own) })),
        ).toEqual(
          messages.map(({ key, value, headers = [] }) => ({
            ...{ key, value },
            headers: headers.map(([name, bytes]) => [name, bytes ?? noHeader]),
          })),
        );
        expect(letters.map(({ headers }) => String(headers.get(deadLetterHeaders.offset)))).toEqual(['0', '1', '2']);
      });
    },
  );

  // What no second try mends stays as well, until somebody acts: then it is written, and nothing was dropped.
  it.each(['is too large for its topic', 'has no topic'] as const)(
    'waits while its dead letter %s, says so, keeps nobody else, and is written when that is mended',
    async (why) => {
      await onTopic(async (clients, topic) => {
        const dead = uniqueName('dead');
        const admin = await clients.admin();
        const isTooLarge = why === 'is too large for its topic';
        if (isTooLarge) await admin.createTopic(dead, { partitions: 1, config: { 'max.message.bytes': '2000' } });
        await clients.send([{ topic, partition: 0, value: Buffer.alloc(5_000, 'x') }]);
        await clients.sendNumbers(topic, 1, 20);
        const failures: Error[] = [];
        const worker = workerOn(topic, uniqueName('g'), always({ do: 'dead-letter', topic: dead }), (name) => {
          if (name === '0@0') throw new Error('no');
        });
        worker.on('dead-letter-failed', ({ error }) => void failures.push(error));
        await worker.start();
        const committed = (partition: number): number | undefined =>
          worker.status().partitions.find((one) => one.partition === partition)?.committedOffset;
        await until(() => failures.length > 0 && committed(1) === 20, 'the failure, and the other partition');
        expect(failures[0]).toMatchObject({ code: 'PRODUCE' });
        expect(String(failures[0])).toMatch(isTooLarge ? /too large/i : /unknown topic/i);
        const { live, reasons } = worker.health();
        expect([live, reasons.join()]).toEqual([true, expect.stringContaining(`could not be written to ${dead}`)]);
        expect(committed(0) ?? 0).toBe(0);
        if (isTooLarge) {
          const change = ['--alter', '--entity-type', 'topics', '--entity-name', dead];
          const config = ['--add-config', 'max.message.bytes=100000'];
          await kafkaTool('ConfigCommand', ['--bootstrap-server', brokers ?? '', ...change, ...config]);
        } else {
          await admin.createTopic(dead, { partitions: 1 });
        }
        await until(() => committed(0) === 1, 'the dead letter');
        expect(await worker.stop()).toMatchObject({ state: 'stopped', failed: 1, left: [] });
      });
    },
    90_000,
  );

  it('freezes its partition, comes first after a restart, and goes on when it is unfrozen', async () => {
    await onTopic(async (clients, topic) => {
      await clients.sendNumbers(topic, 0, 5);
      await clients.sendNumbers(topic, 1, 5);
      const groupId = uniqueName('g');
      let isHealed = false;
      const calls: string[] = [];
      const handler = (name: string): void => {
        calls.push(name);
        if (name === '0@2' && !isHealed) throw new Error('no');
      };
      const freeze = always({ do: 'freeze', scope: 'partition' });
      const first = workerOn(topic, groupId, freeze, handler);
      await first.start();
      await until(
        () =>
          first.status().partitions.some(({ partition, committedOffset }) => partition === 1 && committedOffset === 5),
        'the other partition',
      );
      expect(await first.stop()).toMatchObject({ state: 'stopped', left: [{ partition: 0, offset: 2 }] });
      expect(calls).not.toContain('0@3');
      const second = workerOn(topic, groupId, freeze, handler);
      calls.length = 0;
      await second.start();
      await until(() => second.status().partitions.some(({ frozen }) => frozen.length > 0), 'the freeze');
      expect(calls).toEqual(['0@2']);
      await clients.sendNumbers(topic, 0, 2, 5);
      isHealed = true;
      await second.unfreeze({ topic, partition: 0 });
      await until(
        () =>
          second.status().partitions.some(({ partition, committedOffset }) => partition === 0 && committedOffset === 7),
        'the rest',
      );
      expect(calls).toEqual(['0@2', '0@2', '0@3', '0@4', '0@5', '0@6']);
      await second.stop();
    });
  });

  it('may wait longer for its retry than max.poll.interval.ms, and the membership stays', async () => {
    await onTopic(async (clients, topic) => {
      await clients.sendNumbers(topic, 0, 2);
      let attempts = 0;
      let revocations = 0;
      const worker = workerOn(topic, uniqueName('g'), always({ do: 'retry', afterMs: 9_000 }), (name) => {
        if (name === '0@0' && attempts++ === 0) throw new Error('once');
      });
      worker.on('revoked', () => revocations++);
      await worker.start();
      await until(() => worker.status().partitions.some(({ committedOffset }) => committedOffset === 2), 'the retry');
      expect({ attempts, revocations }).toEqual({ attempts: 2, revocations: 0 });
      await worker.stop();
    });
  });
});
