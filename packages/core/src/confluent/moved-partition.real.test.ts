import { setTimeout as sleep } from 'node:timers/promises';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { Connection } from '@platformatic/kafka';
import { systemClock } from '../clock.ts';
import type { KafkaCluster } from '../kafka-client.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { clusterWith, type MovedPartition, withoutGzip } from '../testing/cluster-with-library.ts';
import { Worker } from '../worker.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';
import { confluentKafka } from './index.ts';
import type { NativeConsumer } from './native-client.ts';
import { TwoReaders } from './two-readers.ts';

const brokers = process.env.KAFKA_BROKERS;
const list = (brokers ?? '').split(',');
const onRealKafka = brokers === undefined ? describe.skip : describe;

onRealKafka('two readers on real Kafka', () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    jest.restoreAllMocks();
    for (const close of closing.splice(0).reverse()) await close();
  });

  const clientsOf = (cluster: KafkaCluster): TestClients => {
    const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
    closing.push(() => clients.close());
    return clients;
  };
  const packed = (codec: string): TestClients =>
    clientsOf(confluentKafka({ brokers: list, librdkafka: { 'compression.type': codec, 'linger.ms': 20 } }));

  it.each([
    ['classic', {}],
    ['classic', { 'partition.assignment.strategy': 'range' }],
    ['consumer', {}],
  ] as const)(
    'read on by librdkafka where one has no codec for a batch, the other partition as before: %s, %j',
    async (groupProtocol, librdkafka) => {
      const told: MovedPartition[] = [];
      const clients = clientsOf(clusterWith(list, withoutGzip, told, librdkafka));
      const topic = await clients.topic(2);
      const plain = packed('none');
      const gzip = packed('gzip');
      await plain.sendNumbers(topic, 0, 100);
      await gzip.sendNumbers(topic, 0, 300, 100);
      await plain.sendNumbers(topic, 0, 100, 400);
      await plain.sendNumbers(topic, 1, 500);
      const member = await clients.member([topic], { groupProtocol });
      await member.untilRecords(1_000);
      const numbers = Array.from({ length: 500 }, (_, i) => i);
      expect([member.offsets(0), member.offsets(1)]).toEqual([numbers, numbers]);
      expect(member.records.filter(({ partition }) => partition === 0).map(({ value }) => Number(value))).toEqual(
        numbers,
      );
      expect(told).toEqual([
        { topic, partition: 0, offset: 100, why: 'compression 1, for which there is no codec here, at offset 100' },
      ]);
      await member.untilPosition(topic, 0, 500);
      expect(member.consumer.watermarks({ topic, partition: 0 })).toEqual({ earliest: 0, latest: 500 });

      // Paused, it brings nothing; sought, what stands there.
      member.consumer.pause([{ topic, partition: 0 }]);
      await gzip.sendNumbers(topic, 0, 10, 500);
      await plain.sendNumbers(topic, 1, 10, 500);
      const meanwhile = await member.receivedWithin(1_000);
      expect(meanwhile.map(({ partition }) => partition)).toEqual(Array.from({ length: 10 }, () => 1));
      await member.consumer.seek([{ topic, partition: 0, offset: 350 }]);
      member.consumer.resume([{ topic, partition: 0 }]);
      await member.untilRecords(1_000 + 10 + 160);
      expect(member.offsets(0).slice(500)).toEqual(Array.from({ length: 160 }, (_, i) => 350 + i));
      expect(member.errors).toEqual([]);
    },
  );

  it.each(['classic', 'consumer'] as const)(
    'drop what librdkafka brings of a partition before it is paused: %s',
    async (groupProtocol) => {
      const native = RdKafka.KafkaConsumer.prototype as unknown as NativeConsumer;
      const { consume } = native;
      let brought = 0;
      jest.spyOn(native, 'consume').mockImplementation(function (this: NativeConsumer, count, done) {
        consume.call(this, count, (error, messages) => {
          brought += messages?.length ?? 0;
          done(error, messages);
        });
      });
      const { started } = TwoReaders.prototype;
      let isPaused = false;
      jest.spyOn(TwoReaders.prototype, 'started').mockImplementation(function (this: TwoReaders, partitions) {
        void (async () => {
          while (brought < 100) await sleep(5);
          started.call(this, partitions);
          isPaused = true;
        })();
      });
      const told: MovedPartition[] = [];
      const clients = clientsOf(clusterWith(list, withoutGzip, told));
      const topic = await clients.topic(1);
      await packed('none').sendNumbers(topic, 0, 100);
      const member = await clients.member([topic], { groupProtocol });
      await member.untilRecords(100);
      for (const late = Date.now() + 10_000; !isPaused && Date.now() < late; ) await member.poll(500, 100);
      expect([isPaused, brought]).toEqual([true, 100]);
      // What it had brought is behind where it has to go on.
      await packed('gzip').sendNumbers(topic, 0, 100, 100);
      await member.untilPosition(topic, 0, 200);
      expect(member.offsets(0)).toEqual(Array.from({ length: 200 }, (_, i) => i));
      expect(told).toMatchObject([{ topic, partition: 0, offset: 100 }]);
      expect(member.errors).toEqual([]);
    },
  );

  // With both readers at work in every worker, for partitions come and go and batches of both kinds are mixed.
  it.each(['classic', 'consumer'] as const)(
    'lose and repeat nothing, in order, while workers join and leave: %s',
    async (groupProtocol) => {
      const partitions = 6;
      const told: MovedPartition[] = [];
      const clients = clientsOf(confluentKafka({ brokers: list }));
      const topic = await clients.topic(partitions);
      const [plain, gzip] = [packed('none'), packed('gzip')];
      const groupId = uniqueName('group');
      const calls = Array.from({ length: partitions }, (): number[] => []);
      const session = groupProtocol === 'classic' ? { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 200 } : {};
      const start = async (): Promise<Worker> => {
        const worker = new Worker({
          ...{ kafka: clusterWith(list, withoutGzip, told, session), groupId, topics: topic, groupProtocol },
          logger: { debug() {}, info() {}, warn() {}, error() {} },
          handler: async ({ partition, offset }) => {
            await sleep(1);
            calls[partition]?.push(offset);
          },
        });
        const assigned = new Promise<void>((resolve) => void worker.on('assigned', () => resolve()));
        await worker.start();
        closing.push(() => worker.stop());
        await assigned;
        return worker;
      };
      let sent = 0;
      let isOver = false;
      const flow = (async () => {
        for (let turn = 0; !isOver; turn++) {
          const from = sent;
          sent += 20;
          // Each has a packed batch now and then.
          await Promise.all(
            Array.from({ length: partitions }, (_, partition) => {
              const sender = turn % partitions === partition ? gzip : plain;
              return sender.sendNumbers(topic, partition, 20, from);
            }),
          );
          await sleep(20);
        }
      })();
      const first = await start();
      for (let round = 0; round < 4; round++) {
        const joining = await start();
        await sleep(1_500);
        await joining.stop();
        await sleep(500);
      }
      isOver = true;
      await flow;
      for (const late = Date.now() + 30_000; calls.some((own) => own.length < sent); await sleep(20))
        if (Date.now() > late) throw new Error(`${calls.map(({ length }) => length)} of ${sent}`);
      await first.stop();
      const all = Array.from({ length: sent }, (_, i) => i);
      for (const own of calls) expect(own).toEqual(all);
      // Each assignment begins anew with the direct reader.
      expect(told.length).toBeGreaterThan(partitions);
    },
    90_000,
  );

  it('go on through librdkafka where the direct one reaches nobody any more', async () => {
    const told: MovedPartition[] = [];
    const connections: Connection[] = [];
    let isCutOff = false;
    const library = async (): Promise<DirectLibrary> => {
      const whole = await loadDirectLibrary();
      const newConnection: DirectLibrary['newConnection'] = (...given) => {
        const connection = whole.newConnection(...given);
        connections.push(connection);
        if (isCutOff) connection.connect = () => Promise.reject(new Error('cut off'));
        return connection;
      };
      return { ...whole, newConnection };
    };
    const clients = clientsOf(clusterWith(list, library, told));
    const topic = await clients.topic(2);
    const member = await clients.member([topic], { groupProtocol: 'consumer' });
    await member.untilOwned(2);
    for (const partition of [0, 1]) await clients.sendNumbers(topic, partition, 50);
    await member.untilRecords(100);
    expect(connections.length).toBeGreaterThan(0);
    isCutOff = true;
    for (const { socket } of connections) socket.destroy();
    for (const partition of [0, 1]) await clients.sendNumbers(topic, partition, 50, 50);
    for (const late = Date.now() + 40_000; told.length < 2 && Date.now() < late; ) await member.poll(500, 200);
    await member.untilRecords(200);
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    expect([member.offsets(0), member.offsets(1)]).toEqual([numbers, numbers]);
    expect(told).toMatchObject([{ offset: 50 }, { offset: 50 }]);
    expect(told[0]?.why).toMatch(/librdkafka reaches its leader, .* cut off/);
    // Before that it was told that nothing comes.
    expect(member.errors.length).toBeGreaterThan(0);
    for (const error of member.errors) expect(error).toMatchObject({ code: 'CONNECTION', retriable: true });
  }, 90_000);
});
