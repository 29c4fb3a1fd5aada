import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { type Delivery, LogTruncatedError, systemClock, Worker, type WorkerSummary } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { atLeastOnce } from './at-least-once.ts';
import { atMostOnce } from './at-most-once.ts';
import { exactlyOnce } from './exactly-once.ts';

const brokers = process.env.KAFKA_BROKERS;
const onRealKafka = brokers === undefined ? describe.skip : describe;
const RECORDS = 20;
/** By that a worker's commits are known. */
const ORIGIN = '{"partitions":1,"topics":""}';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

type Reader = 'direct' | 'librdkafka';
const deliveries: readonly (readonly [string, () => Delivery])[] = [
  ['atLeastOnce', () => atLeastOnce()],
  ['atMostOnce', () => atMostOnce()],
  ['exactlyOnce', () => exactlyOnce({ transactionalIdPrefix: `leader-epochs-${randomUUID()}` })],
];
const cases = deliveries.flatMap(([name, delivery]) =>
  (['direct', 'librdkafka'] as const).map((reader) => [name, reader, delivery] as const),
);

/** A topic with records in its one partition, and workers of one group that read it. */
class Scene implements AsyncDisposable {
  readonly place: { readonly topic: string; readonly partition: number };
  readonly #groupId = `g-${randomUUID()}`;
  readonly #cluster = confluentKafka({ brokers: (brokers ?? '').split(',') });
  readonly #clients = { clock: systemClock, logger: quiet };
  readonly #admin = this.#cluster.admin(this.#clients);
  readonly #producer = this.#cluster.producer(this.#clients);
  readonly group = this.#cluster.consumer({ ...this.#clients, groupId: this.#groupId, groupProtocol: 'classic' });

  private constructor() {
    this.place = { topic: `leader-epochs-${randomUUID()}`, partition: 0 };
  }

  static async open(): Promise<Scene> {
    const scene = new Scene();
    const clients = [scene.#admin, scene.#producer, scene.group];
    await Promise.all(clients.map((client) => client.connect({ timeoutMs: 20_000 })));
    await scene.#admin.createTopic(scene.place.topic, { partitions: 1 });
    await scene.send(RECORDS);
    return scene;
  }

  async send(records: number): Promise<void> {
    const values = Array.from({ length: records }, (_, number) => String(number));
    await Promise.all(values.map((value) => this.#producer.send({ ...this.place, value })));
  }

  /** Handles what there is until so many are handled or it has failed, and stops. */
  async work(reader: Reader, delivery: Delivery, until: number): Promise<WorkerSummary> {
    let handled = 0;
    const kafka = confluentKafka({ brokers: (brokers ?? '').split(','), reader });
    const worker = new Worker({
      ...{ kafka, groupId: this.#groupId, topics: this.place.topic, startFrom: 'earliest', delivery, logger: quiet },
      handler: () => void handled++,
    });
    worker.finished.catch(() => {});
    await worker.start();
    while (handled < until && worker.state === 'running') await sleep(20);
    return worker.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#admin.close(), this.#producer.close(5_000), this.group.close()]);
  }
}

onRealKafka("the leader's epoch that a worker commits", () => {
  it.each(cases)(
    'is that of what it has handled, and the next worker goes on with it: %s, read by %s',
    async (_name, reader, delivery) => {
      await using scene = await Scene.open();
      expect(await scene.work(reader, delivery(), RECORDS)).toMatchObject({ state: 'stopped', handled: RECORDS });
      expect(await scene.group.committed([scene.place])).toMatchObject([{ offset: RECORDS, leaderEpoch: 0 }]);
      await scene.send(RECORDS);
      expect(await scene.work(reader, delivery(), RECORDS)).toMatchObject({ state: 'stopped', handled: RECORDS });
      expect(await scene.group.committed([scene.place])).toMatchObject([{ offset: 2 * RECORDS, leaderEpoch: 0 }]);
    },
    60_000,
  );

  it('tells a worker that reads directly of a log that never had it, before anything of it is handled', async () => {
    await using scene = await Scene.open();
    await scene.group.commit([{ ...scene.place, offset: 5, leaderEpoch: 3, metadata: ORIGIN }]);
    const { state, handled, error } = await scene.work('direct', atLeastOnce(), RECORDS);
    expect({ state, handled }).toEqual({ state: 'failed', handled: 0 });
    expect(error).toBeInstanceOf(LogTruncatedError);
    expect(error).toMatchObject({ ...scene.place, offset: 5, divergesAt: 0 });
    // As the error says: whoever commits the offset by itself goes on there.
    await scene.group.commit([{ ...scene.place, offset: 5 }]);
    expect(await scene.work('direct', atLeastOnce(), RECORDS - 5)).toMatchObject({ handled: RECORDS - 5 });
  }, 60_000);

  it('is not believed where something else has committed it', async () => {
    await using scene = await Scene.open();
    await scene.group.commit([{ ...scene.place, offset: 5, leaderEpoch: 3, metadata: 'of a tool' }]);
    expect(await scene.work('direct', atLeastOnce(), RECORDS - 5)).toMatchObject({
      ...{ state: 'stopped', handled: RECORDS - 5 },
    });
  }, 60_000);
});
