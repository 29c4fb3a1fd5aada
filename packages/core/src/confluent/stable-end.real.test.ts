import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { type OpenTransaction, openTransaction } from '../testing/open-transaction.ts';
import { Worker } from '../worker.ts';
import { confluentKafka } from './index.ts';

const brokers = process.env.KAFKA_BROKERS;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const WAIT_MS = 20_000;
/** A broker of the defaults cleans every 15 s. */
const COMPACTION_MS = 60_000;

if (brokers === undefined) {
  describe('the end of a log with gaps', () => {
    it.skip('needs a broker: set KAFKA_BROKERS, or start one with npm run kafka -- start', () => {});
  });
} else {
  describeEnds(brokers);
}

function describeEnds(list: string): void {
  const kafka = confluentKafka({ brokers: list.split(','), librdkafka: { 'fetch.wait.max.ms': 100 } });
  const clients = new TestClients({ cluster: kafka, clock: systemClock, dispose: () => Promise.resolve() });
  const closing: (() => Promise<unknown>)[] = [];

  /** A transaction that has written its records, and is open. */
  async function transaction(topic: string, count: number): Promise<OpenTransaction> {
    const open = await openTransaction(list, topic, count);
    closing.push(() => open.close());
    return open;
  }

  async function worker(topic: string, groupId: string, handled: number[]): Promise<Worker> {
    const made = new Worker({
      ...{ kafka, groupId, topics: topic, logger: quiet, commit: { everyMs: 100 } },
      handler: ({ offset }) => void handled.push(offset),
    });
    closing.push(() => made.stop());
    await made.start();
    return made;
  }

  async function until(what: string, holds: () => boolean, waitMs = WAIT_MS): Promise<void> {
    const deadline = Date.now() + waitMs;
    while (!holds()) {
      if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Everything is done as far as can be: lag and committed offset are what a person looks at. */
  function isAt(running: Worker, offset: number): boolean {
    const [one] = running.status().partitions;
    return one?.lag === 0 && one.nextOffset === offset && one.committedOffset === offset;
  }

  async function committed(topic: string, groupId: string): Promise<number | undefined> {
    const consumer = await clients.consumer({ groupProtocol: 'consumer', groupId });
    return (await consumer.committed([{ topic, partition: 0 }]))[0]?.offset;
  }

  describe('the end of a log with gaps', () => {
    afterEach(async () => {
      for (const close of closing.splice(0)) await close();
      await clients.close();
    });

    it.each(['commit', 'abort'] as const)(
      'is the last stable offset while a transaction is open, and lies behind it after its %s',
      async (how) => {
        const topic = await clients.topic(1);
        await clients.sendNumbers(topic, 0, 3);
        const open = await transaction(topic, 4);
        const handled: number[] = [];
        const groupId = uniqueName('group');
        const running = await worker(topic, groupId, handled);
        await until('the lag is 0 in front of the open transaction', () => isAt(running, 3));
        expect(handled).toEqual([0, 1, 2]);
        await open.end(how);
        // Four records and a marker.
        await until('the lag is 0 behind the transaction', () => isAt(running, 8));
        expect(handled).toEqual(how === 'commit' ? [0, 1, 2, 3, 4, 5, 6] : [0, 1, 2]);
        await running.stop();
        expect(await committed(topic, groupId)).toBe(8);
      },
    );

    it('is reached by a group that begins in front of nothing but an aborted transaction', async () => {
      const topic = await clients.topic(1);
      await (await transaction(topic, 4)).end('abort');
      const groupId = uniqueName('group');
      const handled: number[] = [];
      const running = await worker(topic, groupId, handled);
      await until('the lag is 0', () => isAt(running, 5));
      await running.stop();
      expect([handled, await committed(topic, groupId)]).toEqual([[], 5]);
    });

    it(
      'is reached over the gaps of a compacted log, with an aborted transaction at its end',
      async () => {
        const topic = uniqueName('compacted');
        const admin = kafka.admin(clients.options);
        await admin.connect({ timeoutMs: 10_000 });
        closing.push(() => admin.close());
        const config = {
          'cleanup.policy': 'compact',
          'min.cleanable.dirty.ratio': '0.01',
          'segment.ms': '100',
          'max.compaction.lag.ms': '100',
        };
        await admin.createTopic(topic, { partitions: 1, config });
        const send = (value: number): Promise<unknown> =>
          clients.send([{ topic, partition: 0, key: value < 20 ? 'same' : 'other', value: String(value) }]);
        for (let i = 0; i < 20; i++) await send(i);
        await new Promise((resolve) => setTimeout(resolve, 200));
        // Rolls the segment: only what lies before the active one is compacted.
        await send(20);
        const offsets = async (): Promise<number[]> => {
          const member = await clients.member([topic], { groupProtocol: 'consumer' });
          await member.untilPosition(topic, 0, 21);
          await member.consumer.close();
          return member.offsets();
        };
        const deadline = Date.now() + COMPACTION_MS;
        let left = await offsets();
        for (; left.length > 2 && Date.now() < deadline; left = await offsets())
          await new Promise((resolve) => setTimeout(resolve, 1_000));
        expect(left).toEqual([19, 20]);
        await (await transaction(topic, 2)).end('abort');
        const groupId = uniqueName('group');
        const handled: number[] = [];
        const running = await worker(topic, groupId, handled);
        await until('the lag is 0', () => isAt(running, 24));
        await running.stop();
        expect([handled, await committed(topic, groupId)]).toEqual([[19, 20], 24]);
      },
      COMPACTION_MS + 30_000,
    );
  });
}
