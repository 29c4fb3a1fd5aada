import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { type OpenTransaction, openTransaction } from '../testing/open-transaction.ts';
import { Worker } from '../worker.ts';
import { confluentKafka } from './index.ts';

const brokers = process.env.KAFKA_BROKERS;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const WAIT_MS = 20_000;
/** Longer than it takes until a silent partition's position is compared with its log. */
const LOOKED_AT_MS = 8_000;

type Isolation = 'read_committed' | 'read_uncommitted';

if (brokers === undefined) {
  describe('isolation levels and the ends of logs', () => {
    it.skip('needs a broker: set KAFKA_BROKERS, or start one with npm run kafka -- start', () => {});
  });
} else {
  for (const reader of ['librdkafka', 'direct'] as const) describeIsolation(brokers, reader);
}

function describeIsolation(list: string, reader: 'librdkafka' | 'direct'): void {
  const closing: (() => Promise<unknown>)[] = [];

  function clientsOf(isolation: Isolation): TestClients {
    const librdkafka = { 'fetch.wait.max.ms': 100, 'isolation.level': isolation };
    const cluster = confluentKafka({ brokers: list.split(','), reader, librdkafka });
    const clients = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
    closing.push(() => clients.close());
    return clients;
  }

  /** Three records, and behind them four of a transaction that is open. */
  async function openBehindThree(clients: TestClients): Promise<{ topic: string; open: OpenTransaction }> {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 3);
    const open = await openTransaction(list, topic, 4);
    closing.push(() => open.close());
    return { topic, open };
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    while (!holds()) {
      if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function worker(isolation: Isolation, topic: string, groupId: string, handled: number[]): Promise<Worker> {
    const librdkafka = { 'fetch.wait.max.ms': 100, 'isolation.level': isolation };
    const made = new Worker({
      kafka: confluentKafka({ brokers: list.split(','), reader, librdkafka }),
      ...{ groupId, topics: topic, logger: quiet, commit: { everyMs: 100 } },
      handler: ({ offset }) => void handled.push(offset),
    });
    closing.push(() => made.stop().catch(() => {}));
    await made.start();
    return made;
  }

  describe(`isolation levels and the ends of logs, reader ${reader}`, () => {
    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close();
    });

    it.each([
      ['read_committed' as const, 3],
      ['read_uncommitted' as const, 7],
    ])(
      'under %s the latest offset in front of an open transaction is %i, the high watermark 7',
      async (isolation, latest) => {
        const clients = clientsOf(isolation);
        const { topic, open } = await openBehindThree(clients);
        const consumer = await clients.consumer({ groupProtocol: 'consumer' });
        const ask = async (position: 'latest' | 'high-watermark' | Date): Promise<number | undefined> =>
          (await consumer.offsetsFor([{ topic, partition: 0 }], position))[0]?.offset;
        expect([await ask('latest'), await ask('high-watermark')]).toEqual([latest, 7]);
        expect(await ask(new Date(Date.now() + 3_600_000))).toBe(latest);
        await open.end('commit');
        let end = await ask('latest');
        // The marker is written behind the answer to the commit.
        for (const deadline = Date.now() + WAIT_MS; end !== 8 && Date.now() < deadline; ) end = await ask('latest');
        expect([end, await ask('high-watermark')]).toEqual([8, 8]);
      },
    );

    it('a client that stands between the last stable offset and the end reports nothing, and goes on', async () => {
      const clients = clientsOf('read_committed');
      const { topic, open } = await openBehindThree(clients);
      const member = await clients.member([topic], { groupProtocol: 'consumer' });
      await member.untilRecords(3);
      await member.consumer.seek([{ topic, partition: 0, offset: 5 }]);
      await member.receivedWithin(LOOKED_AT_MS);
      expect(member.errors).toEqual([]);
      await open.end('commit');
      await member.untilRecords(5);
      expect(member.offsets()).toEqual([0, 1, 2, 5, 6]);
    });

    it.each(['commit', 'abort'] as const)(
      'a group that has read uncommitted records goes on behind them with committed ones, through the transaction and its %s',
      async (how) => {
        const clients = clientsOf('read_uncommitted');
        const { topic, open } = await openBehindThree(clients);
        const groupId = uniqueName('group');
        const early: number[] = [];
        const before = await worker('read_uncommitted', topic, groupId, early);
        await until('all is handled', () => early.length === 7);
        await before.stop();
        const handled: number[] = [];
        const running = await worker('read_committed', topic, groupId, handled);
        let failed: unknown;
        running.finished.catch((error: unknown) => (failed = error));
        await new Promise((resolve) => setTimeout(resolve, LOOKED_AT_MS));
        expect([failed, running.state]).toEqual([undefined, 'running']);
        await running.seek({ topic, partition: 0 }, 7);
        await open.end(how);
        await clients.sendNumbers(topic, 0, 1);
        await until('the record behind the transaction is handled', () => handled.length > 0);
        expect(handled).toEqual([8]);
        await until('it is committed', () => running.status().partitions[0]?.committedOffset === 9);
        await running.stop();
      },
      WAIT_MS * 3,
    );
  });
}
