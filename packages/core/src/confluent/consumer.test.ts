import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { TestClients, uniqueName } from '../testing/cluster-under-test.ts';
import { type EmbeddedKafka, embeddedKafka } from '../testing/embedded-kafka.ts';

/** Kafka's keys of the requests that fail here. */
const FETCH = 1;
const OFFSET_COMMIT = 8;
const JOIN_GROUP = 11;
const GROUP_HEARTBEAT = 68;

describe('the librdkafka consumer, when things go wrong', () => {
  let kafka: EmbeddedKafka;
  let clients: TestClients;
  beforeAll(async () => {
    kafka = await embeddedKafka();
  });
  beforeEach(() => {
    clients = new TestClients({ cluster: kafka, clock: systemClock, dispose: () => Promise.resolve() });
  });
  afterEach(() => clients.close());
  afterAll(async () => {
    await kafka[Symbol.asyncDispose]();
  });

  it.each([
    [22, false],
    [25, false],
    [30, false],
    [82, false],
    [27, true],
  ])('says of a commit refused with %i whether repeating it helps: %s', async (kafkaCode, retriable) => {
    const topic = await clients.topic(2);
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilOwned(2);
    kafka.pushErrors(OFFSET_COMMIT, [kafkaCode]);
    const commit = member.consumer.commit([0, 1].map((partition) => ({ topic, partition, offset: 1 })));
    await expect(commit).rejects.toMatchObject({
      name: 'CommitError',
      retriable,
      failures: [
        { topic, partition: 0, offset: 1, kafkaCode },
        { topic, partition: 1, offset: 1, kafkaCode },
      ],
    });
  });

  it('lets librdkafka repeat a commit while the coordinator moves', async () => {
    const topic = await clients.topic(1);
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilOwned(1);
    for (const kafkaCode of [14, 15, 16, 7]) {
      kafka.pushErrors(OFFSET_COMMIT, [kafkaCode]);
      await member.consumer.commit([{ topic, partition: 0, offset: kafkaCode }]);
    }
    expect(await member.consumer.committed([{ topic, partition: 0 }])).toMatchObject([{ offset: 7 }]);
  });

  it('goes on reading after an error that passes, though librdkafka has stopped at it for good', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 20);
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilRecords(20);
    // OFFSET_OUT_OF_RANGE, from a broker that was behind for a moment.
    kafka.pushErrors(FETCH, [1]);
    await clients.sendNumbers(topic, 0, 20, 20);
    await member.untilRecords(40);
    expect(member.offsets()).toEqual(Array.from({ length: 40 }, (_, offset) => offset));
    expect(member.errors.filter(({ name }) => name === 'OffsetOutOfRangeError')).toEqual([]);
  });

  // Who asked it was given a copy of a lock that the other question held just then, and waited for ever; so did the process at its end.
  it('answers where a log ends while another question is under way, and when asked twice at once', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 5);
    const { consumer } = await clients.member([topic], { groupProtocol: 'classic' });
    kafka.setRoundTrip(1, 100);
    const partitions = [{ topic, partition: 0 }];
    const asked = (['earliest', 'high-watermark', 'high-watermark'] as const).map((position) =>
      consumer.offsetsFor(partitions, position),
    );
    const answers = await Promise.all(asked).finally(() => kafka.setRoundTrip(1, 0));
    expect(answers.flat().map(({ offset }) => offset)).toEqual([0, 5, 5]);
  });

  it('refuses to seek a partition that is not assigned', async () => {
    const topic = await clients.topic(1);
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilOwned(1);
    await expect(member.consumer.seek([{ topic, partition: 7, offset: 0 }])).rejects.toMatchObject({
      code: 'ILLEGAL_STATE',
    });
  });

  it('reports an assignment that was lost as lost, and joins again', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 5);
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilRecords(5);
    kafka.pushErrors(OFFSET_COMMIT, [25]);
    await expect(member.consumer.commit([{ topic, partition: 0, offset: 1 }])).rejects.toMatchObject({
      retriable: false,
    });
    await member.until('it is assigned again', () => member.events.length >= 3);
    expect(member.events.map(({ type }) => type)).toEqual(['assigned', 'lost', 'assigned']);
    await member.untilRecords(10);
  });

  it('reports that brokers are away, loses no record, and goes on when they are back', async () => {
    const topic = await clients.topic(1);
    await clients.sendNumbers(topic, 0, 10);
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilRecords(10);
    kafka.setBrokerDown(1);
    await member.until('it is reported', () => member.errors.length > 0);
    expect(member.errors[0]).toMatchObject({ name: 'ConnectionError', retriable: true, brokers: kafka.brokers });
    kafka.setBrokerUp(1);
    await clients.sendNumbers(topic, 0, 10, 10);
    // The mock cluster may have thrown the member out meanwhile: then it begins again at 0.
    await member.until('the new ones came', () => member.offsets().includes(19));
    expect([...new Set(member.offsets())]).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it.each(['cooperative-sticky', 'range'])(
    'names a position outside the log, and goes on after a seek (%s)',
    async (strategy) => {
      await using other = await embeddedKafka({ librdkafka: { 'partition.assignment.strategy': strategy } });
      const own = new TestClients({ cluster: other, clock: systemClock, dispose: () => Promise.resolve() });
      const topic = await own.topic(2);
      await own.sendNumbers(topic, 0, 20);
      await own.sendNumbers(topic, 1, 20);
      const member = await own.member([topic], { groupProtocol: 'classic' });
      await member.untilRecords(40);
      other.deleteRecords(topic, 0, 10);
      await member.consumer.seek([{ topic, partition: 0, offset: 3 }]);
      await member.until('it is reported', () => member.errors.length > 0);
      expect(member.errors).toMatchObject([
        { name: 'OffsetOutOfRangeError', topic, partition: 0, offset: 3, earliest: 10, latest: 20 },
      ]);
      await member.consumer.seek([{ topic, partition: 0, offset: 10 }]);
      member.records.length = 0;
      await member.untilRecords(10);
      expect(member.offsets(0)).toEqual(Array.from({ length: 10 }, (_, i) => 10 + i));
      await own.sendNumbers(topic, 1, 1);
      await member.untilPosition(topic, 1, 21);
      await own.close();
    },
  );

  it('gives a named error when the broker does not know the group protocol, or refuses the group', async () => {
    const topic = await clients.topic(1);
    kafka.pushErrors(GROUP_HEARTBEAT, [35]);
    const modern = await clients.member([topic], { groupProtocol: 'consumer' });
    await modern.until('it is reported', () => modern.errors.length > 0);
    expect(modern.errors).toMatchObject([{ name: 'UnsupportedBrokerError', retriable: false }]);
    kafka.pushErrors(JOIN_GROUP, [30]);
    const classic = await clients.member([topic], { groupProtocol: 'classic' });
    await classic.until('it is reported', () => classic.errors.length > 0);
    expect(classic.errors).toMatchObject([{ name: 'AuthorizationError', retriable: false }]);
  });

  it('reports a topic that does not exist', async () => {
    const member = await clients.member([uniqueName('unknown')], { groupProtocol: 'classic' });
    await member.until('it is reported', () => member.errors.length > 0);
    expect(member.errors).toMatchObject([{ name: 'PollError', retriable: true }]);
  });

  it('stays in the group and reads on in order when nobody polls for long', async () => {
    const topic = await clients.topic(2);
    await clients.sendNumbers(topic, 0, 6_000);
    await clients.sendNumbers(topic, 1, 6_000);
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilRecords(1);
    // Longer than the session, and than it takes to pause librdkafka itself.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await member.consumer.commit([{ topic, partition: 0, offset: 1 }]);
    await member.untilRecords(12_000);
    const all = Array.from({ length: 6_000 }, (_, i) => i);
    expect(member.offsets(0)).toEqual(all);
    expect(member.offsets(1)).toEqual(all);
    expect(member.events).toHaveLength(1);
  });

  it('brings records that are large, few at a time', async () => {
    const topic = await clients.topic(1);
    const value = Buffer.alloc(500_000, 'x');
    await clients.send(Array.from({ length: 8 }, () => ({ topic, partition: 0, value })));
    const member = await clients.member([topic], { groupProtocol: 'classic' });
    await member.untilRecords(8);
    expect(member.records.every((record) => record.value?.length === 500_000)).toBe(true);
  });

  // librdkafka refused to give back what it had never taken, and waited for the answer until the close gave up.
  it.each(['classic', 'consumer'] as const)(
    'closes while an assignment is not answered (%s)',
    async (groupProtocol) => {
      const [taken, offered] = [await clients.topic(2), await clients.topic(1)];
      const warnings: string[] = [];
      const logger = { debug() {}, info() {}, warn: (message: string) => void warnings.push(message), error() {} };
      const member = await clients.member([taken], { groupProtocol, logger });
      await member.untilOwned(2);
      const { consumer } = member;
      consumer.subscribe([taken, offered]);
      while ((await consumer.poll(1, 500)).events.length === 0);
      await consumer.close();
      expect(warnings).toEqual([]);
    },
  );

  it('refuses an answer to no event, and one that names other partitions', async () => {
    const topic = await clients.topic(1);
    const consumer = await clients.consumer({ groupProtocol: 'classic' });
    const start = { topic, partition: 0, offset: 0 };
    expect(() => consumer.assign([start])).toThrow(expect.objectContaining({ code: 'ILLEGAL_STATE' }));
    expect(() => consumer.release([start])).toThrow(expect.objectContaining({ code: 'ILLEGAL_STATE' }));
    consumer.subscribe([topic]);
    while ((await consumer.poll(1, 500)).events.length === 0);
    expect(() => consumer.assign([{ ...start, partition: 1 }])).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    );
    consumer.assign([start]);
    expect(() => consumer.assign([start])).toThrow(expect.objectContaining({ code: 'ILLEGAL_STATE' }));
  });
});
