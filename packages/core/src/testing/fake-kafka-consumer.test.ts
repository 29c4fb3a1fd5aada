import { describe, expect, it } from '@jest/globals';
import { CommitError, ConnectionError, InvalidOptionError, PollError } from '../errors.ts';
import type { KafkaConsumer, StartOffset } from '../kafka-client.ts';
import { stderrLogger } from '../logger.ts';
import type { FakeKafka } from './fake-kafka.ts';
import { fakeKafka } from './fake-kafka.ts';

const p = (partition: number): { topic: string; partition: number } => ({ topic: 't', partition });
const at = (partition: number, offset: number): StartOffset => ({ topic: 't', partition, offset });
const message = (value: string, partition = 0): { topic: string; value: string; partition: number } => ({
  topic: 't',
  value,
  partition,
});

async function joined(kafka: FakeKafka, groupId = 'g'): Promise<KafkaConsumer> {
  const consumer = kafka.consumer({ groupId, groupProtocol: 'classic', clock: kafka.clock, logger: stderrLogger });
  await consumer.connect({ timeoutMs: 1_000 });
  consumer.subscribe(['t']);
  return consumer;
}

/** A consumer that reads all of topic `t` from its start. */
async function reading(kafka: FakeKafka): Promise<KafkaConsumer> {
  const consumer = await joined(kafka);
  const { events } = await consumer.poll(0, 0);
  for (const event of events) consumer.assign(event.partitions.map((partition) => ({ ...partition, offset: 0 })));
  return consumer;
}

describe('FakeConsumer', () => {
  it('offers every partition to the only member, and reads them from where it is told', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
    kafka.send([message('a0', 0), message('a1', 0), message('b0', 1)]);
    const consumer = await joined(kafka);
    expect((await consumer.poll(10, 0)).events).toEqual([{ type: 'assigned', partitions: [p(0), p(1)] }]);
    consumer.assign([at(0, 1), at(1, 0)]);
    const poll = await consumer.poll(10, 0);
    expect(poll.records.map((record) => String(record.value)).sort()).toEqual(['a1', 'b0']);
    expect(poll.positions).toEqual(expect.arrayContaining([at(0, 2), at(1, 1)]));
    expect(consumer.watermarks(p(0))).toEqual({ earliest: 0, latest: 2 });
  });

  it('reports a read position once, behind offsets that are no records', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([message('a'), message('b')]);
    kafka.compact(p(0), 1);
    kafka.appendGap(p(0), 3);
    const consumer = await reading(kafka);
    const poll = await consumer.poll(10, 0);
    expect(poll.records.map((record) => record.offset)).toEqual([0]);
    expect(poll.positions).toEqual([at(0, 5)]);
    expect((await consumer.poll(10, 0)).positions).toEqual([]);
  });

  it('does not report a position as long as records before it have not been polled', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([message('a'), message('b')]);
    const consumer = await reading(kafka);
    expect((await consumer.poll(1, 0)).positions).toEqual([]);
    expect((await consumer.poll(1, 0)).positions).toEqual([at(0, 2)]);
  });

  it('brings at most as many records as were asked for, from all partitions in turn', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 3 } } });
    for (let i = 0; i < 10; i++) kafka.send([message(`${i}`, 0), message(`${i}`, 1), message(`${i}`, 2)]);
    const consumer = await reading(kafka);
    const { records } = await consumer.poll(7, 0);
    expect(records).toHaveLength(7);
    expect(new Set(records.map((record) => record.partition)).size).toBe(3);
    expect((await consumer.poll(100, 0)).records).toHaveLength(23);
  });

  it('waits in virtual time until the wait is over, a record comes, it is woken or closed', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const consumer = await reading(kafka);
    await consumer.poll(10, 0);

    const empty = consumer.poll(10, 100);
    await kafka.clock.advance(100);
    expect((await empty).records).toEqual([]);

    const filled = consumer.poll(10, 100);
    await kafka.clock.settle();
    kafka.send([message('a')]);
    expect((await filled).records).toHaveLength(1);

    const woken = consumer.poll(10, 100);
    consumer.wake();
    expect((await woken).records).toEqual([]);

    const closed = consumer.poll(10, 100);
    await consumer.close();
    expect((await closed).records).toEqual([]);
    expect(kafka.clock.pendingTimers).toBe(0);
  });

  it('polls nothing of a paused partition, and goes on where it was', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([message('a'), message('b')]);
    const consumer = await reading(kafka);
    await consumer.poll(1, 0);
    consumer.pause([p(0)]);
    expect((await consumer.poll(10, 0)).records).toEqual([]);
    consumer.resume([p(0)]);
    expect((await consumer.poll(10, 0)).records.map((record) => record.offset)).toEqual([1]);
  });

  it('reads on from where it was sought to, across a gap', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([message('a')]);
    kafka.appendGap(p(0), 2);
    kafka.send([message('b')]);
    const consumer = await reading(kafka);
    await consumer.poll(10, 0);
    await consumer.seek([at(0, 1)]);
    expect((await consumer.poll(10, 0)).records.map((record) => record.offset)).toEqual([3]);
  });

  it('reports a position outside of the log once, and reads again after a seek', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([message('a'), message('b'), message('c')]);
    kafka.deleteRecords(p(0), 2);
    const consumer = await reading(kafka);
    const { errors, records } = await consumer.poll(10, 0);
    expect(errors).toMatchObject([{ code: 'OFFSET_OUT_OF_RANGE', offset: 0, earliest: 2, latest: 3 }]);
    expect(records).toEqual([]);
    expect((await consumer.poll(10, 0)).errors).toEqual([]);
    await consumer.seek([at(0, 2)]);
    expect((await consumer.poll(10, 0)).records).toHaveLength(1);
  });

  it('answers the ends of a log and the first offset of a date', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    kafka.send([message('a')]);
    await kafka.clock.advance(10);
    const date = new Date(kafka.clock.now());
    kafka.send([message('b')]);
    const consumer = await joined(kafka);
    expect(await consumer.offsetsFor([p(0)], 'earliest')).toEqual([at(0, 0)]);
    expect(await consumer.offsetsFor([p(0)], 'latest')).toEqual([at(0, 2)]);
    expect(await consumer.offsetsFor([p(0)], date)).toEqual([at(0, 1)]);
    expect(await consumer.offsetsFor([p(0)], new Date(date.getTime() + 1))).toEqual([at(0, 2)]);
  });

  it('counts the partitions of named topics, and of all but internal ones', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 3 }, __consumer_offsets: { partitions: 50 } } });
    const consumer = await joined(kafka);
    expect([...(await consumer.partitionCounts())]).toEqual([['t', 3]]);
    expect([...(await consumer.partitionCounts(['t', 'no-such-topic']))]).toEqual([['t', 3]]);
  });

  it('keeps committed offsets with their metadata, and clears the metadata with a commit that has none', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const consumer = await reading(kafka);
    expect(await consumer.committed([p(0)])).toEqual([{ ...p(0), offset: undefined, metadata: undefined }]);
    await consumer.commit([{ ...at(0, 7), metadata: 'n=1' }]);
    expect(await consumer.committed([p(0)])).toEqual([{ ...p(0), offset: 7, metadata: 'n=1' }]);
    await consumer.commit([at(0, 8)]);
    expect(await consumer.committed([p(0)])).toEqual([{ ...p(0), offset: 8, metadata: undefined }]);
    expect([...kafka.committed('g', 't')]).toEqual([[0, 8]]);
  });

  it('lets a test decide that commits fail, and how', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const consumer = await reading(kafka);
    kafka.failCommits(1, { kafkaCode: 27, retriable: true });
    await expect(consumer.commit([at(0, 1)])).rejects.toMatchObject({
      retriable: true,
      failures: [{ ...at(0, 1), kafkaCode: 27 }],
    });
    expect([...kafka.committed('g', 't')]).toEqual([]);
    await consumer.commit([at(0, 1)]);
    kafka.fail('commit-answer', 1, () => new CommitError([], { retriable: true }));
    await expect(consumer.commit([at(0, 2)])).rejects.toThrow(CommitError);
    expect([...kafka.committed('g', 't')]).toEqual([[0, 2]]);
  });

  it('holds calls until a test releases them', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const consumer = await reading(kafka);
    const hold = kafka.hold('commit');
    let isDone = false;
    const commit = consumer.commit([at(0, 1)]).then(() => {
      isDone = true;
    });
    await hold.arrived();
    await kafka.clock.advance(1_000_000);
    expect([isDone, hold.waiting, kafka.committed('g', 't').size]).toEqual([false, 1, 0]);
    hold.release();
    await commit;
    expect([...kafka.committed('g', 't')]).toEqual([[0, 1]]);
  });

  it('calls atAwait at every await, in the same order each time', async () => {
    const run = async (): Promise<string[]> => {
      const seen: string[] = [];
      const kafka = fakeKafka({
        topics: { t: { partitions: 1 } },
        atAwait: ({ operation, sequence }) => seen.push(`${sequence} ${operation}`),
      });
      const consumer = await reading(kafka);
      await consumer.commit([at(0, 0)]);
      await consumer.close();
      return seen;
    };
    expect(await run()).toEqual(['0 connect', '1 poll', '2 commit', '3 commit-answer', '4 close']);
    expect(await run()).toEqual(await run());
  });

  it('survives an outage: requests wait and time out, polls report it once, records come afterwards', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } }, requestTimeoutMs: 100 });
    kafka.send([message('a')]);
    const consumer = await reading(kafka);
    const end = kafka.outage();
    expect((await consumer.poll(10, 0)).errors).toMatchObject([expect.any(PollError)]);
    expect(await consumer.poll(10, 0)).toEqual({ events: [], records: [], positions: [], errors: [] });
    const late = consumer.commit([at(0, 1)]);
    const timedOut = expect(late).rejects.toMatchObject({ retriable: true });
    await kafka.clock.advance(100);
    await timedOut;
    const patient = consumer.commit([at(0, 1)]);
    await kafka.clock.advance(50);
    end();
    await patient;
    expect((await consumer.poll(10, 0)).records).toHaveLength(1);
  });

  it('gives up connecting when the time is up or the signal says so', async () => {
    const kafka = fakeKafka();
    kafka.outage();
    const connect = (signal?: AbortSignal): Promise<void> =>
      kafka
        .consumer({ groupId: 'g', groupProtocol: 'classic', clock: kafka.clock, logger: stderrLogger })
        .connect({ timeoutMs: 500, ...(signal === undefined ? {} : { signal }) });
    const timedOut = expect(connect()).rejects.toThrow(ConnectionError);
    await kafka.clock.advance(500);
    await timedOut;
    const abort = new AbortController();
    const givenUp = expect(connect(abort.signal)).rejects.toThrow('given up');
    abort.abort();
    await givenUp;
    expect(kafka.clock.pendingTimers).toBe(0);
  });

  describe('throws when the port is misused:', () => {
    it('two polls at once', async () => {
      const consumer = await reading(fakeKafka({ topics: { t: { partitions: 1 } } }));
      const first = consumer.poll(1, 1_000);
      await expect(consumer.poll(1, 0)).rejects.toThrow('a poll is under way');
      consumer.wake();
      await first;
    });

    it('an assign that answers no event', async () => {
      const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
      const consumer = await joined(kafka);
      expect(() => consumer.assign([at(0, 0), at(1, 0)])).toThrow('no assigned event that was polled');
      await consumer.poll(0, 0);
      expect(() => consumer.assign([at(0, 0)])).toThrow('has exactly t/0');
      consumer.assign([at(1, 0), at(0, 0)]);
      expect(() => consumer.assign([at(0, 0), at(1, 0)])).toThrow('no assigned event');
    });

    it('a release of what was not asked back', async () => {
      const consumer = await reading(fakeKafka({ topics: { t: { partitions: 1 } } }));
      expect(() => consumer.release([p(0)])).toThrow('no revoked or lost event');
    });

    it('a pause, resume or seek of what is not assigned', async () => {
      const consumer = await joined(fakeKafka({ topics: { t: { partitions: 1 } } }));
      expect(() => consumer.pause([p(0)])).toThrow('not assigned here');
      expect(() => consumer.resume([p(0)])).toThrow('not assigned here');
      await expect(consumer.seek([at(0, 0)])).rejects.toThrow('not assigned here');
    });

    it.each([
      { ...p(0), offset: -1 },
      { ...p(0), offset: 1.5 },
      { ...p(0), offset: Number.NaN },
      { ...p(0), offset: '5' },
      { topic: '', partition: 0, offset: 0 },
      { topic: 't', partition: -1, offset: 0 },
      { topic: 't', offset: 0 },
    ])('a commit of %j', async (offset) => {
      const consumer = await reading(fakeKafka({ topics: { t: { partitions: 1 } } }));
      await expect(consumer.commit([offset as StartOffset])).rejects.toThrow(InvalidOptionError);
    });

    it('anything after close', async () => {
      const consumer = await reading(fakeKafka({ topics: { t: { partitions: 1 } } }));
      await consumer.close();
      await consumer.close();
      await expect(consumer.poll(1, 0)).rejects.toThrow('closed');
      await expect(consumer.commit([at(0, 0)])).rejects.toThrow('closed');
      expect(() => consumer.subscribe(['t'])).toThrow('closed');
    });
  });
});
