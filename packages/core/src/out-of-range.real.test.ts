import { setTimeout as sleep } from 'node:timers/promises';
import clients from '@confluentinc/kafka-javascript';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from './clock.ts';
import { confluentKafka } from './confluent/index.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import { TestClients, uniqueName } from './testing/cluster-under-test.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions } from './worker-options.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const WAIT_MS = 60_000;

/** More than either reader fetches ahead, librdkafka's queue included, and what is left of it. */
const BACKLOG = 400;
const LEFT = 10;
const VALUE_BYTES = 64 * 1024;
const shortQueue = { 'queued.max.messages.kbytes': 1024, 'queued.min.messages': 1 };

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;
type OffsetHandler = (record: { readonly offset: number }) => Promise<void> | void;

interface Overtaken {
  readonly topic: string;
  readonly groupId: string;
  readonly worker: Worker;
  readonly handled: readonly number[];
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(10);
  }
}

/** As retention does: what stands below the offset is no longer in the log of partition 0. */
async function deleteRecords(topic: string, offset: number): Promise<void> {
  const admin = clients.RdKafka.AdminClient.create({ 'bootstrap.servers': brokers ?? '' });
  try {
    await new Promise<void>((resolve, reject) => {
      const before = [{ topic, partition: 0, offset }];
      admin.deleteRecords(before, { timeout: WAIT_MS }, (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    admin.disconnect();
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

onRealKafka.each(['direct', 'librdkafka'] as const)('an offset out of range on real Kafka, reader %s', (reader) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const kafka = confluentKafka({ brokers: (brokers ?? '').split(','), reader, librdkafka: shortQueue });
  const made = (): TestClients => {
    const all = new TestClients({ cluster: kafka, clock: systemClock, dispose: () => Promise.resolve() });
    closing.push(() => all.close());
    return all;
  };

  const startWorker = async (topic: string, groupId: string, handler: OffsetHandler, rest: Rest): Promise<Worker> => {
    const worker = new Worker({ kafka, groupId, topics: topic, logger: quiet, ...rest, handler });
    worker.finished.catch(() => {});
    closing.push(() => worker.stop({ timeoutMs: 1_000 }));
    await worker.start();
    return worker;
  };

  /** A worker that stands at its first record while all but the last ones are deleted, and goes on then. */
  const overtaken = async (rest: Rest): Promise<Overtaken> => {
    const all = made();
    const topic = await all.topic(1);
    const value = Buffer.alloc(VALUE_BYTES);
    await all.send(Array.from({ length: BACKLOG }, () => ({ topic, partition: 0, value })));
    const handled: number[] = [];
    let goOn = (): void => {};
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    closing.push(async () => goOn());
    let calls = 0;
    const handler: OffsetHandler = async ({ offset }) => {
      calls++;
      await gate;
      handled.push(offset);
    };
    const groupId = uniqueName('group');
    const worker = await startWorker(topic, groupId, handler, { limits: { inFlightRecords: 10 }, ...rest });
    await until(() => calls > 0, 'the first call');
    await deleteRecords(topic, BACKLOG - LEFT);
    goOn();
    return { topic, groupId, worker, handled };
  };

  it('ends a worker whose records are deleted before it has come to them, and none is skipped', async () => {
    const { topic, groupId, worker, handled } = await overtaken({});
    const error = await worker.finished.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OffsetOutOfRangeError);
    expect(error).toMatchObject({ topic, partition: 0, earliest: BACKLOG - LEFT, latest: BACKLOG });
    const { offset } = error as OffsetOutOfRangeError;
    expect(offset).toBeGreaterThan(0);
    expect(offset).toBeLessThan(BACKLOG - LEFT);
    expect(handled.length).toBeLessThanOrEqual(offset);
    expect(handled).toEqual(range(0, handled.length));
    const consumer = await made().consumer({ groupId, groupProtocol: 'classic' });
    expect(await consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: handled.length }]);
  }, 90_000);

  it.each(['earliest', 'latest'] as const)(
    'lets one go on where onOffsetOutOfRange says: %s',
    async (onOffsetOutOfRange) => {
      const { topic, worker, handled } = await overtaken({ onOffsetOutOfRange });
      const moved = onOffsetOutOfRange === 'earliest' ? BACKLOG - LEFT : BACKLOG;
      await until(() => worker.status().partitions[0]?.lag === 0, 'the end of the log');
      await made().sendNumbers(topic, 0, 5);
      await until(() => handled.at(-1) === BACKLOG + 4, 'what was written last');
      const before = handled.filter((offset) => offset < BACKLOG - LEFT);
      expect(before.length).toBeLessThan(BACKLOG - LEFT);
      expect(handled).toEqual([...range(0, before.length), ...range(moved, BACKLOG + 5)]);
      expect(await worker.stop()).toMatchObject({ state: 'stopped', left: [] });
    },
    90_000,
  );

  it('is told of a committed offset that was deleted while no worker ran', async () => {
    const all = made();
    const topic = await all.topic(1);
    await all.sendNumbers(topic, 0, 20);
    const groupId = uniqueName('group');
    const consumer = await all.consumer({ groupId, groupProtocol: 'classic' });
    await consumer.commit([{ topic, partition: 0, offset: 3 }]);
    await deleteRecords(topic, 10);
    const handled: number[] = [];
    const handler: OffsetHandler = ({ offset }) => void handled.push(offset);
    const strict = await startWorker(topic, groupId, handler, {});
    await expect(strict.finished).rejects.toMatchObject({
      name: 'OffsetOutOfRangeError',
      offset: 3,
      earliest: 10,
      latest: 20,
    });
    expect(handled).toEqual([]);
    expect(await consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: 3 }]);
    await startWorker(topic, groupId, handler, { onOffsetOutOfRange: 'earliest' });
    await until(() => handled.length === 10, 'what is left');
    expect(handled).toEqual(range(10, 20));
  });
});
