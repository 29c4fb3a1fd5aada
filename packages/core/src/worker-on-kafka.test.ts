import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { systemClock } from './clock.ts';
import type { ConcurrencyStrategy } from './concurrency.ts';
import { confluentKafka } from './confluent/index.ts';
import { ConnectionError, UnknownTopicError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import { HandlerError } from './handler-errors.ts';
import type { KafkaCluster } from './kafka-client.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import type { KafkaRecord } from './record.ts';
import { TestClients, uniqueName } from './testing/cluster-under-test.ts';
import { embeddedKafka } from './testing/embedded-kafka.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const skip: FailurePolicy = { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip' }) };
const stop: FailurePolicy = { kind: 'failure', name: 'stop', decide: () => ({ do: 'stop' }) };
const serial: ConcurrencyStrategy = {
  kind: 'concurrency',
  name: 'serial',
  lanes: { by: 'all', active: 1, inside: { width: 1 } },
};

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

interface Tier {
  readonly name: string;
  readonly open: () => Promise<{ readonly cluster: KafkaCluster; readonly close: () => PromiseLike<void> }>;
}
const brokers = process.env.KAFKA_BROKERS;
const tiers: readonly Tier[] = [
  {
    name: 'embedded',
    open: async () => {
      const kafka = await embeddedKafka();
      return { cluster: kafka, close: () => kafka[Symbol.asyncDispose]() };
    },
  },
  {
    name: 'real',
    open: () =>
      Promise.resolve({
        cluster: confluentKafka({ brokers: (brokers ?? '').split(',') }),
        close: () => Promise.resolve(),
      }),
  },
];

/** Resolves when it holds; looks at every event of the worker, so that nothing is slept. */
function until(worker: Worker, holds: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (holds()) resolve();
    };
    worker.on('settled', look);
    worker.on('committed', look);
    worker.on('assigned', look);
    worker.on('revoked', look);
    worker.finished.then(look, reject);
    look();
  });
}

describe.each(tiers)('Worker on $name Kafka', ({ name, open }) => {
  if (name === 'real' && brokers === undefined) {
    it.skip('needs a broker, named by KAFKA_BROKERS', () => {});
    return;
  }
  let cluster: KafkaCluster;
  let clients: TestClients;
  let closeCluster: () => PromiseLike<void>;

  beforeAll(async () => {
    const opened = await open();
    cluster = opened.cluster;
    closeCluster = opened.close;
    clients = new TestClients({ cluster, clock: systemClock, dispose: opened.close });
  });
  afterAll(async () => {
    await clients.close();
    await closeCluster();
  });

  const workerOf = (
    topics: Rest['topics'],
    groupId: string,
    handler: (record: KafkaRecord) => unknown,
    rest: Rest = {},
  ): Worker =>
    new Worker({
      kafka: cluster,
      groupId,
      topics: topics ?? [],
      logger: quiet,
      handler,
      commit: { everyMs: 100 },
      ...rest,
    });

  async function committedOf(topic: string, groupId: string, partitions: number): Promise<(number | undefined)[]> {
    const consumer = await clients.consumer({ groupId, groupProtocol: 'classic' });
    const committed = await consumer.committed(
      Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
    );
    return committed.map(({ offset }) => offset);
  }

  it('handles everything, commits the ends with an acknowledgement, and leaves within a second', async () => {
    const topic = await clients.topic(3);
    for (const partition of [0, 1, 2]) await clients.sendNumbers(topic, partition, 200);
    const seen = new Map<number, number[]>();
    const groupId = uniqueName('group');
    const worker = workerOf(topic, groupId, async ({ partition, offset }) => {
      seen.set(partition, [...(seen.get(partition) ?? []), offset]);
    });
    await worker.start();
    await until(worker, () => [...seen.values()].flat().length === 600);
    const summary = await worker.stop({ mode: 'drain' });
    expect(summary).toEqual({ state: 'stopped', handled: 600, failed: 0, left: [] });
    const inOrder = Array.from({ length: 200 }, (_, offset) => offset);
    for (const partition of [0, 1, 2]) expect(seen.get(partition)).toEqual(inOrder);
    expect(await committedOf(topic, groupId, 3)).toEqual([200, 200, 200]);
  });

  it('tells once who reads its records, and why', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 1);
    const told: unknown[] = [];
    let handled = 0;
    const worker = workerOf(topic, uniqueName('group'), () => void handled++);
    worker.on('reading', (choice) => told.push(choice));
    await worker.start();
    await until(worker, () => handled === 1);
    await worker.stop();
    expect(told).toEqual([{ reader: name === 'real' ? 'direct' : 'librdkafka', why: expect.any(String) }]);
  });

  it('stops at a record that fails under stop: its own offset is committed, and a restart delivers it first', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 50);
    const groupId = uniqueName('group');
    const failing = workerOf(
      topic,
      groupId,
      ({ offset }) => {
        if (offset === 17) throw new Error('no');
      },
      { onFailure: stop, concurrency: serial },
    );
    await failing.start();
    await expect(failing.finished).rejects.toThrow(HandlerError);
    expect(await committedOf(topic, groupId, 1)).toEqual([17]);
    const seen: number[] = [];
    const restarted = workerOf(topic, groupId, ({ offset }) => void seen.push(offset));
    await restarted.start();
    await until(restarted, () => seen.length === 33);
    await restarted.stop();
    expect(seen[0]).toBe(17);
    expect(await committedOf(topic, groupId, 1)).toEqual([50]);
  });

  it('passes a record that fails under skip, and counts it', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 20);
    const groupId = uniqueName('group');
    const worker = workerOf(
      topic,
      groupId,
      ({ offset }) => (offset === 7 ? Promise.reject(new Error('no')) : undefined),
      { onFailure: skip },
    );
    await worker.start();
    await until(worker, () => worker.status().partitions[0]?.nextOffset === 20);
    expect(await worker.stop()).toMatchObject({ handled: 19, failed: 1 });
    expect(await committedOf(topic, groupId, 1)).toEqual([20]);
  });

  it('hands partitions over to a second worker and back, with nothing lost and nothing repeated', async () => {
    const topic = await clients.topic(4);
    const groupId = uniqueName('group');
    const seen: string[] = [];
    const note = async ({ partition, offset }: KafkaRecord): Promise<void> => void seen.push(`${partition}:${offset}`);
    const first = workerOf(topic, groupId, note);
    await first.start();
    await until(first, () => first.status().partitions.length === 4);
    let sent = 0;
    const send = async (): Promise<void> => {
      for (const partition of [0, 1, 2, 3]) await clients.sendNumbers(topic, partition, 25);
      sent += 25;
    };
    await send();
    // The mock cluster, other than Kafka, refuses commits while somebody joins: there everything is committed before.
    const isCommitted = (): boolean =>
      first.status().partitions.every(({ committedOffset }) => committedOffset === sent);
    if (name === 'embedded') await until(first, isCommitted);
    const second = workerOf(topic, groupId, note);
    await second.start();
    await until(second, () => second.status().partitions.length === 2);
    await send();
    await until(second, () => second.status().partitions.every(({ nextOffset }) => nextOffset === sent));
    await until(first, () => first.status().partitions.every(({ nextOffset }) => nextOffset === sent));
    if (name === 'embedded') {
      await until(second, () => second.status().partitions.every(({ committedOffset }) => committedOffset === sent));
    }
    await second.stop();
    await send();
    await until(first, () => first.status().partitions.length === 4);
    await until(first, () => first.status().partitions.every(({ nextOffset }) => nextOffset === sent));
    await first.stop();
    expect(seen).toHaveLength(sent * 4);
    expect(new Set(seen).size).toBe(sent * 4);
    expect(await committedOf(topic, groupId, 4)).toEqual([sent, sent, sent, sent]);
  });

  it('starts a new group at the end with latest, and commits that before anything comes', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 10);
    const groupId = uniqueName('group');
    const seen: number[] = [];
    const worker = workerOf(topic, groupId, ({ offset }) => void seen.push(offset), { startFrom: 'latest' });
    const assigned = new Promise<void>((resolve) => void worker.on('assigned', () => resolve()));
    await worker.start();
    await assigned;
    expect(await committedOf(topic, groupId, 1)).toEqual([10]);
    await clients.sendNumbers(topic, 0, 5);
    await until(worker, () => seen.length === 5);
    await worker.stop();
    expect(seen).toEqual([10, 11, 12, 13, 14]);
  });

  it('matches topics by regular expression', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 3);
    const seen: string[] = [];
    const worker = workerOf([new RegExp(`^${topic}$`)], uniqueName('group'), (record) => void seen.push(record.topic));
    await worker.start();
    await until(worker, () => seen.length === 3);
    await worker.stop();
    expect(new Set(seen)).toEqual(new Set([topic]));
  });

  it('seeks back and forth', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 30);
    const groupId = uniqueName('group');
    const seen: number[] = [];
    const worker = workerOf(topic, groupId, ({ offset }) => void seen.push(offset));
    await worker.start();
    await until(worker, () => seen.length === 30);
    await worker.seek({ topic, partition: 0 }, 25);
    await until(worker, () => seen.length === 35);
    await worker.seek({ topic, partition: 0 }, 'earliest');
    await until(worker, () => seen.length === 65);
    expect(seen.slice(30, 35)).toEqual([25, 26, 27, 28, 29]);
    expect(seen.slice(35)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    await worker.stop();
    expect(await committedOf(topic, groupId, 1)).toEqual([30]);
  });

  it('finishes a record only when what it sent is acknowledged', async () => {
    const [input, output] = [await clients.topic(1), await clients.topic(1)];
    await clients.sendNumbers(input, 0, 100);
    const groupId = uniqueName('group');
    const worker = new Worker({
      ...{ kafka: cluster, groupId, topics: input, logger: quiet },
      handler: (record, { send }) => send({ topic: output, partition: 0, key: record.key, value: record.value }),
    });
    await worker.start();
    await until(worker, () => worker.status().partitions[0]?.nextOffset === 100);
    await worker.stop();
    const values: string[] = [];
    const reader = workerOf(output, uniqueName('group'), ({ value }) => void values.push(String(value)));
    await reader.start();
    await until(reader, () => values.length === 100);
    await reader.stop();
    expect(values).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
  });

  it('fails with the topics that do not exist, and with the brokers that do not answer', async () => {
    const unknown = workerOf('there-is-no-such-topic', uniqueName('group'), () => {});
    await expect(unknown.start()).rejects.toThrow(UnknownTopicError);
    const nobody = new Worker({
      ...{
        kafka: confluentKafka({ brokers: ['127.0.0.1:1'] }),
        groupId: 'g',
        topics: 't',
        logger: quiet,
        connectTimeoutMs: 700,
      },
      handler: () => {},
    });
    const error = await nobody.start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectionError);
    expect((error as Error).message).toContain('127.0.0.1:1');
  });

  it('fails with OffsetOutOfRangeError instead of jumping, or moves as onOffsetOutOfRange says', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 10);
    const groupId = uniqueName('group');
    const consumer = await clients.consumer({ groupId, groupProtocol: 'classic' });
    await consumer.commit([{ topic, partition: 0, offset: 99 }]);
    const strict = workerOf(topic, groupId, () => {});
    await strict.start();
    await expect(strict.finished).rejects.toThrow(OffsetOutOfRangeError);
    expect(await committedOf(topic, groupId, 1)).toEqual([99]);
    const seen: number[] = [];
    const lenient = workerOf(topic, groupId, ({ offset }) => void seen.push(offset), {
      onOffsetOutOfRange: 'earliest',
    });
    await lenient.start();
    await until(lenient, () => seen.length === 10);
    await lenient.stop();
    expect(await committedOf(topic, groupId, 1)).toEqual([10]);
  });

  if (name !== 'real') return;
  it('works with the consumer group protocol of KIP-848', async () => {
    const topic = await clients.topic(4);
    for (const partition of [0, 1, 2, 3]) await clients.sendNumbers(topic, partition, 50);
    const groupId = uniqueName('group');
    const seen: string[] = [];
    const worker = workerOf(topic, groupId, ({ partition, offset }) => void seen.push(`${partition}:${offset}`), {
      groupProtocol: 'consumer',
    });
    await worker.start();
    await until(worker, () => seen.length === 200);
    expect(await worker.stop()).toMatchObject({ handled: 200, left: [] });
    expect(await committedOf(topic, groupId, 4)).toEqual([50, 50, 50, 50]);
  });
});
