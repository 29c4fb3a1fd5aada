import clients from '@confluentinc/kafka-javascript';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { LogTruncatedError } from '../log-errors.ts';
import { type Member, TestClients } from '../testing/cluster-under-test.ts';
import { pauseFor } from './bounded.ts';
import { confluentKafka } from './index.ts';

const brokers = process.env.KAFKA_BROKERS;
const WAIT_MS = 20_000;
/** How soon a member of the classic protocol sees for itself what has become of its topics. */
const quick = { 'topic.metadata.refresh.interval.ms': 500 };

if (brokers === undefined) {
  describe('a topic that changes while the direct reader reads it', () => {
    it.skip('needs a broker: set KAFKA_BROKERS, or start one with npm run kafka -- start', () => {});
  });
} else {
  describeChangingTopics(brokers);
}

function describeChangingTopics(list: string): void {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  const clientsOf = (librdkafka: Readonly<Record<string, number>> = {}): TestClients => {
    const cluster = confluentKafka({ brokers: list.split(','), reader: 'direct', librdkafka });
    const made = new TestClients({ cluster, clock: systemClock, dispose: () => Promise.resolve() });
    closing.push(() => made.close());
    return made;
  };

  const valuesOf = ({ records }: Member, partition = 0): string[] =>
    records.filter((record) => record.partition === partition).map(({ value }) => String(value));
  const numbers = (count: number): string[] => Array.from({ length: count }, (_, number) => String(number));

  /** Deleted by name, and there again as soon as the broker has done with the old one. */
  const createAgain = async (made: TestClients, topic: string): Promise<void> => {
    const admin = await made.admin();
    for (const deadline = Date.now() + WAIT_MS; ; await pauseFor(50)) {
      try {
        await admin.createTopic(topic, { partitions: 1 });
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  };

  describe('a topic that changes while the direct reader reads it', () => {
    it('is never taken for the one that was created under its name: an error names both offsets', async () => {
      const made = clientsOf();
      const topic = await made.topic(1);
      await made.sendNumbers(topic, 0, 5);
      // The group's member looks at its topics every five minutes.
      const member = await made.member([topic], { groupProtocol: 'classic' });
      await member.untilRecords(5);
      // It asks again only when the new log is longer than the old one was: that offset 5 is there, in the same epoch, says nothing.
      member.consumer.pause([{ topic, partition: 0 }]);
      await (await made.admin()).deleteTopic(topic);
      await createAgain(made, topic);
      await clientsOf().sendNumbers(topic, 0, 20, 100);
      member.consumer.resume([{ topic, partition: 0 }]);
      const truncated = (): LogTruncatedError | undefined =>
        member.errors.find((error) => error instanceof LogTruncatedError);
      await member.until('it is told', () => truncated() !== undefined);
      expect(truncated()).toMatchObject({ topic, partition: 0, offset: 5, divergesAt: 0 });
      expect(await member.receivedWithin(500)).toEqual([]);
      expect(valuesOf(member)).toEqual(numbers(5));
    });

    it('is read from its beginning when the group has given the old one back, and gives out the new one', async () => {
      const made = clientsOf();
      const topic = await made.topic(1);
      await made.sendNumbers(topic, 0, 5);
      const member = await made.member([topic], { groupProtocol: 'consumer' });
      await member.untilRecords(5);
      await member.consumer.commit([{ topic, partition: 0, offset: 5 }]);
      await (await made.admin()).deleteTopic(topic);
      await member.until('it is given back', ({ owned }) => owned.size === 0);
      await createAgain(made, topic);
      await clientsOf().sendNumbers(topic, 0, 20, 100);
      await member.untilRecords(25);
      expect(valuesOf(member).slice(5)).toEqual(Array.from({ length: 20 }, (_, number) => String(100 + number)));
      expect(member.errors.filter((error) => !('retriable' in error && error.retriable === true))).toEqual([]);
    });

    it.each(['classic', 'consumer'] as const)(
      'is read in the partitions that are added, and goes on in the others (%s)',
      async (groupProtocol) => {
        const made = clientsOf(groupProtocol === 'classic' ? quick : {});
        const topic = await made.topic(1);
        await made.sendNumbers(topic, 0, 50);
        const member = await made.member([topic], { groupProtocol });
        await member.untilRecords(50);
        const admin = clients.RdKafka.AdminClient.create({ 'bootstrap.servers': list });
        await new Promise<void>((resolve, reject) => {
          admin.createPartitions(topic, 3, WAIT_MS, (error) => (error ? reject(error) : resolve()));
        });
        admin.disconnect();
        // Another client, which knows of them.
        const writer = clientsOf();
        const writing = Promise.all([
          made.sendNumbers(topic, 0, 50, 50),
          ...[1, 2].map((partition) => writer.sendNumbers(topic, partition, 100)),
        ]);
        writing.catch(() => {});
        await member.untilRecords(300);
        await writing;
        for (const partition of [0, 1, 2]) expect(valuesOf(member, partition)).toEqual(numbers(100));
        expect(member.errors).toEqual([]);
      },
    );
  });
}
