import { createServer, type Server } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { KafkaWorkerError } from '../../kafka-worker-error.ts';
import { type AskedPartition, type ScriptedAnswer, ScriptedBroker } from '../../testing/scripted-broker.ts';
import { oldMessage } from '../../testing/two-readers-under-test.ts';
import { plainRecord, TRANSACTIONAL, writeBatch } from '../../testing/written-batch.ts';
import { pauseFor } from '../bounded.ts';
import { resolveConfluentKafkaOptions } from '../client-options.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct-library.ts';
import { type DirectOptions, directOptions } from './direct-options.ts';
import { DirectPartition } from './direct-partition.ts';
import type { DirectRecord } from './direct-record.ts';
import type { FetchRequest } from './fetch-request.ts';
import { Fetcher } from './fetcher.ts';
import { LeaderLink } from './leader-link.ts';

const WAIT_MS = 8_000;
const END = 6;

let library: DirectLibrary;
beforeAll(async () => {
  library = await loadDirectLibrary();
});

/** A log of single records, `v0` to `v5`, a few at a time. */
function logFrom(offset: number, count = 2): Buffer {
  const offsets = Array.from({ length: Math.max(0, Math.min(count, END - offset)) }, (_, i) => offset + i);
  return Buffer.concat(
    offsets.map((at) => writeBatch({ baseOffset: at, leaderEpoch: 5, records: [plainRecord(0, `v${at}`)] })),
  );
}

/** What a healthy broker answers; the broker waits a little where there is nothing. */
async function healthy(asked: readonly AskedPartition[]): Promise<ScriptedAnswer> {
  if (asked.every(({ offset }) => offset >= END)) await pauseFor(10);
  return { partitions: asked.map(({ partition, offset }) => ({ partition, end: END, records: logFrom(offset) })) };
}

/** A fetcher on scripted brokers, and what it has read. */
class Reading {
  readonly brokers: readonly ScriptedBroker[];
  readonly partitions: DirectPartition[];
  readonly errors: KafkaWorkerError[] = [];
  readonly records: DirectRecord[] = [];
  /** What librdkafka says of a log; undefined where it reaches nobody. */
  range: { earliest: number; latest: number } | undefined = { earliest: 0, latest: END };
  /** How often it was asked. */
  questions = 0;
  /** What librdkafka is to read on, from where, and why. */
  readonly left: { readonly partition: number; readonly next: number; readonly why: string }[] = [];
  /** Partitions that nobody takes from. */
  readonly kept = new Set<number>();
  /** Whether a partition was asked for already each time that something of it could be taken. */
  readonly asksBeforeTaking: boolean[] = [];
  readonly fetcher: Fetcher;

  constructor(
    brokers: readonly ScriptedBroker[],
    partitions: number,
    options: Partial<DirectOptions> = {},
    own: DirectLibrary = library,
  ) {
    this.brokers = brokers;
    this.partitions = Array.from({ length: partitions }, (_, i) => new DirectPartition('t', i, 0));
    this.fetcher = new Fetcher({
      library: own,
      options: {
        ...{
          brokers: brokers.map(({ port }) => `127.0.0.1:${port}`),
          clientId: 'test',
          rack: '',
          isReadCommitted: true,
        },
        ...{ maxWaitMs: 20, minBytes: 1, responseBytes: 1 << 20, partitionBytes: 1 << 17 },
        connection: { connectTimeout: 1_000, requestTimeout: 300 },
        ...options,
      },
      partitions: () => this.partitions,
      report: (error) => this.errors.push(error),
      rangeOf: () => {
        this.questions++;
        return this.range === undefined ? Promise.reject(new Error('nobody')) : Promise.resolve(this.range);
      },
      leave: (owned, why) => {
        owned.leave();
        this.left.push({ partition: owned.partition, next: owned.next, why });
      },
      changed: () => this.#take(),
    });
    this.fetcher.turn();
  }

  values(partition = 0): string[] {
    return this.records.filter((record) => record.partition === partition).map(({ value }) => String(value));
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    for (const deadline = Date.now() + WAIT_MS; !holds(); await pauseFor(5)) {
      if (Date.now() > deadline)
        throw new Error(`waited in vain until ${what}: ${this.values()}; ${this.errors.map(({ message }) => message)}`);
    }
  }

  #take(): void {
    for (const owned of this.partitions) {
      if (!owned.isOpen || this.kept.has(owned.partition)) continue;
      if (owned.hasRecords) this.asksBeforeTaking.push(owned.isAsked);
      owned.take(1_000, this.records);
    }
    this.fetcher.room();
  }
}

const all = Array.from({ length: END }, (_, i) => `v${i}`);

describe('records from the leaders', () => {
  let reading: Reading | undefined;
  const brokers: ScriptedBroker[] = [];
  afterEach(async () => {
    jest.restoreAllMocks();
    reading?.fetcher.stop();
    for (const broker of brokers.splice(0)) await broker.stop();
  });

  const started = async (count = 1): Promise<[ScriptedBroker, ScriptedBroker]> => {
    for (let id = 1; id <= count; id++) brokers.push(await new ScriptedBroker(id).start());
    for (const broker of brokers) {
      broker.brokers = brokers;
      broker.leaders = [{ id: 1, epoch: 5 }];
      broker.answer = healthy;
    }
    return brokers as unknown as [ScriptedBroker, ScriptedBroker];
  };

  /** Answers so the first times, and as a healthy broker does from then on. */
  const first =
    (...answers: readonly ScriptedAnswer[]) =>
    (asked: readonly AskedPartition[]): ScriptedAnswer | Promise<ScriptedAnswer> =>
      (answers as ScriptedAnswer[]).length > 0
        ? ((answers as ScriptedAnswer[]).shift() as ScriptedAnswer)
        : healthy(asked);

  const readsAll = async (): Promise<Reading> => {
    const now = reading as Reading;
    await now.until('all records came', () => now.values().length >= END);
    expect(now.values()).toEqual(all);
    return now;
  };

  it('come in order, asked for with the epochs of the leader and of what was read', async () => {
    const [broker] = await started();
    reading = new Reading(brokers, 1);
    await readsAll();
    expect(broker.asked[0]?.[0]).toMatchObject({ offset: 0, leaderEpoch: 5, lastFetchedEpoch: -1 });
    expect(broker.asked[1]?.[0]).toMatchObject({ offset: 2, leaderEpoch: 5, lastFetchedEpoch: 5 });
  });

  it.each<[string, ScriptedAnswer]>([
    ['the connection is reset', 'close'],
    ['it is closed in the middle of an answer', 'close in the middle'],
    ['no answer comes in time', 'silence'],
    // In front of what would be the answer to the third question over this connection.
    ['the answer has a length that cannot be', Buffer.from([0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 3, 0, 0, 0, 0])],
    ['the answer is to another question', Buffer.from([0, 0, 0, 5, 0, 0, 0x7f, 0x7f, 0])],
    ['the answer is no answer', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('come all, once, though %s', async (_case, answer) => {
    const [broker] = await started();
    broker.answer = first({ partitions: [{ partition: 0, end: END, records: logFrom(0) }] }, answer);
    reading = new Reading(brokers, 1);
    await readsAll();
  });

  it.each([3, 5, 6, 7, 8, 9, 56, 74, 75, 78, 100, 103])('come all, once, behind error %i', async (errorCode) => {
    const [broker] = await started();
    broker.answer = first({ partitions: [{ partition: 0, errorCode }] }, { partitions: [{ partition: 0, errorCode }] });
    reading = new Reading(brokers, 1);
    const { errors } = await readsAll();
    expect(errors).toEqual([]);
  });

  it('come, though the clock is set back by an hour meanwhile', async () => {
    const [broker] = await started();
    const { now } = Date;
    broker.answer = first({ partitions: [{ partition: 0, errorCode: 56 }] });
    const { answer } = broker;
    broker.answer = (asked) => {
      setTimeout(() => jest.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000), 5);
      return answer(asked);
    };
    reading = new Reading(brokers, 1);
    await readsAll();
  });

  it('come from the new leader that the old one names, without asking anybody else', async () => {
    const [one, two] = await started(2);
    one.answer = () => ({ partitions: [{ partition: 0, errorCode: 6, leader: { id: 2, epoch: 6 } }] });
    reading = new Reading(brokers, 1);
    await readsAll();
    expect(one.asked).toHaveLength(1);
    expect(two.asked[0]?.[0]).toMatchObject({ offset: 0, leaderEpoch: 6 });
    expect(one.metadataRequests + two.metadataRequests).toBe(1);
  });

  it('come from the new leader that metadata tells of, when the old one is gone', async () => {
    const [one, two] = await started(2);
    one.answer = first({ partitions: [{ partition: 0, end: END, records: logFrom(0) }] }, 'silence');
    reading = new Reading(brokers, 1);
    await reading.until('the first ones came', () => reading?.values().length === 2);
    two.leaders = [{ id: 2, epoch: 6 }];
    await one.stop();
    await readsAll();
    expect(two.asked[0]?.[0]).toMatchObject({ offset: 2, leaderEpoch: 6, lastFetchedEpoch: 5 });
  });

  it('come from a replica that the leader prefers, and from the leader again when that fails', async () => {
    const [one, two] = await started(2);
    one.answer = first({ partitions: [{ partition: 0, end: END, replica: 2 }] });
    two.answer = first(
      { partitions: [{ partition: 0, end: END, records: logFrom(0) }] },
      { partitions: [{ partition: 0, errorCode: 1 }] },
    );
    reading = new Reading(brokers, 1, { rack: 'r' });
    const { errors } = await readsAll();
    expect([one.asked[1]?.[0]?.offset, errors]).toEqual([2, []]);
  });

  it('come from the leader where a replica says that the log diverges: it may only be behind', async () => {
    const [one, two] = await started(2);
    one.answer = first(
      { partitions: [{ partition: 0, end: END, records: logFrom(0) }] },
      { partitions: [{ partition: 0, end: END, replica: 2 }] },
    );
    two.answer = () => ({ partitions: [{ partition: 0, end: 1, diverging: { epoch: 5, endOffset: 1 } }] });
    reading = new Reading(brokers, 1, { rack: 'r' });
    const { errors } = await readsAll();
    expect([two.asked.length > 0, errors]).toEqual([true, []]);
  });

  it('come from the leader where it prefers a replica that nobody knows', async () => {
    const [broker] = await started();
    broker.answer = first({ partitions: [{ partition: 0, end: END, replica: 9 }] });
    reading = new Reading(brokers, 1, { rack: 'r' });
    expect((await readsAll()).errors).toEqual([]);
  });

  it('come from the leader where it prefers, whenever it is asked, a replica that is not reached', async () => {
    const [one, two] = await started(2);
    one.answer = (asked) =>
      asked[0]?.rack === '' ? healthy(asked) : { partitions: [{ partition: 0, end: END, replica: 2 }] };
    await two.stop();
    reading = new Reading(brokers, 1, { rack: 'r' });
    expect((await readsAll()).errors).toEqual([]);
    expect(one.asked[0]?.[0]?.rack).toBe('r');
  });

  it('come from the leader where a replica says that its own log parts from what was read', async () => {
    const [one, two] = await started(2);
    one.answer = first({ partitions: [{ partition: 0, end: END, replica: 2 }] });
    two.answer = first(
      { partitions: [{ partition: 0, end: END, records: logFrom(0) }] },
      { partitions: [{ partition: 0, end: END, diverging: { epoch: 5, endOffset: 1 } }] },
    );
    reading = new Reading(brokers, 1, { rack: 'r' });
    expect((await readsAll()).errors).toEqual([]);
  });

  it('come of a partition whose batch is larger than what is asked for, though another one always has more', async () => {
    const [broker] = await started();
    broker.leaders = [0, 1].map(() => ({ id: 1, epoch: 5 }));
    // As Kafka does it: only the first one that has anything gets a batch that is too large.
    broker.answer = (asked) => ({
      partitions: asked.map(({ partition, offset }, i) => {
        const records = writeBatch({ baseOffset: offset, leaderEpoch: 5, records: [plainRecord(0, 'x')] });
        return { partition, end: offset + 100, ...(i === 0 ? { records } : {}) };
      }),
    });
    reading = new Reading(brokers, 2);
    await reading.until('both came', () => [0, 1].every((partition) => (reading?.values(partition).length ?? 0) > 3));
  });

  it('come where what was told first of their topic was out of date', async () => {
    const [broker] = await started();
    const { topicId } = broker;
    broker.topicId = 'e'.repeat(32);
    broker.answer = (asked) => {
      // It answers with the id that it has now.
      setImmediate(() => {
        broker.topicId = topicId;
      });
      return asked[0]?.topicId === topicId ? healthy(asked) : { partitions: [{ partition: 0, errorCode: 100 }] };
    };
    reading = new Reading(brokers, 1);
    expect((await readsAll()).errors).toEqual([]);
  });

  it.each<[string, ScriptedAnswer, RegExp]>([
    ['refuses to be asked', { partitions: [], errorCode: 71 }, /it refuses to be asked \(71\)$/],
    ['leaves them out of its answers', { partitions: [] }, /^$/],
  ])('are not asked for all the time while their broker %s', async (_case, answer, told) => {
    const [broker] = await started();
    broker.answer = () => answer;
    reading = new Reading(brokers, 1);
    await pauseFor(900);
    // Each wait is twice as long as the one before.
    expect(broker.asked.length).toBeLessThan(8);
    expect(reading.errors.map(({ message }) => message).join()).toMatch(told);
    broker.answer = healthy;
    await readsAll();
  });

  it('are asked for again only when the broker wants to be asked', async () => {
    const [broker] = await started();
    const throttleMs = 250;
    broker.answer = first({ partitions: [{ partition: 0, end: END, records: logFrom(0) }], throttleMs });
    const at: number[] = [];
    const { answer } = broker;
    broker.answer = (asked) => {
      at.push(performance.now());
      return answer(asked);
    };
    reading = new Reading(brokers, 1);
    await readsAll();
    expect((at[1] as number) - (at[0] as number)).toBeGreaterThanOrEqual(throttleMs - 5);
  });

  it('come when a quota allows it, and the broker that says so is not taken for one that leads no more', async () => {
    const [broker] = await started();
    const throttled = { partitions: [], throttleMs: 20 };
    broker.answer = first(throttled, throttled, throttled);
    reading = new Reading(brokers, 1);
    await reading.until('it was asked again', () => broker.asked.length > 3);
    expect([broker.metadataRequests, reading.partitions[0]?.silence]).toEqual([1, undefined]);
    await readsAll();
  });

  it('are asked for again in bounded time when the broker wants to be left alone for weeks, which is said once', async () => {
    const [broker] = await started();
    const throttleMs = 2 ** 31 - 1;
    const empty = { partitions: [{ partition: 0 }], throttleMs };
    broker.answer = first(empty, empty);
    reading = new Reading(brokers, 1);
    const { fetcher, errors } = reading;
    const now = performance.now.bind(performance);
    const asksAfter = async (ms: number): Promise<number> => {
      jest.spyOn(performance, 'now').mockImplementation(() => now() + ms);
      fetcher.turn();
      await pauseFor(100);
      return broker.asked.length;
    };
    await reading.until('it is said', () => errors.length === 1);
    expect(errors[0]?.message).toBe(
      'broker 1 asks to be left alone for 2147483647 ms, and is asked for records again after 30000 ms',
    );
    expect([await asksAfter(20_000), await asksAfter(40_000), await asksAfter(50_000)]).toEqual([1, 2, 2]);
    jest.spyOn(performance, 'now').mockImplementation(() => now() + 80_000);
    fetcher.turn();
    await readsAll();
    expect(errors).toHaveLength(1);
  });

  it('of one partition do not wait for an error of another one', async () => {
    const [broker] = await started();
    broker.leaders = [0, 1].map(() => ({ id: 1, epoch: 5 }));
    broker.answer = async (asked) => {
      const answer = (await healthy(asked)) as Exclude<ScriptedAnswer, string | Buffer>;
      return {
        partitions: answer.partitions.map((one) => (one.partition === 1 ? { partition: 1, errorCode: 56 } : one)),
      };
    };
    reading = new Reading(brokers, 2);
    await readsAll();
    expect(reading.values(1)).toEqual([]);
  });

  it('stop with the range where their offset is not in the log, and only there', async () => {
    const [broker] = await started();
    broker.answer = () => ({ partitions: [{ partition: 0, errorCode: 1 }] });
    reading = new Reading(brokers, 1);
    reading.range = { earliest: 3, latest: 9 };
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', offset: 0, earliest: 3, latest: 9 });
    const asked = broker.asked.length;
    await pauseFor(200);
    expect(broker.asked).toHaveLength(asked);
    // Moved into the log, it goes on.
    broker.answer = healthy;
    reading.partitions[0]?.moveTo(3);
    reading.fetcher.turn();
    await reading.until('the rest came', () => reading?.values().length === 3);
    expect(reading.values()).toEqual(['v3', 'v4', 'v5']);
  });

  it('go on where a broker was only behind when it said that their offset is not in the log', async () => {
    const [broker] = await started();
    broker.answer = first({ partitions: [{ partition: 0, errorCode: 1 }] });
    reading = new Reading(brokers, 1);
    expect((await readsAll()).errors).toEqual([]);
  });

  it('stop where the log diverges from what was read, naming both offsets', async () => {
    const [broker] = await started();
    const diverging = { epoch: 4, endOffset: 1 };
    broker.answer = first(
      { partitions: [{ partition: 0, end: END, records: logFrom(0) }] },
      { partitions: [{ partition: 0, end: END, diverging }] },
    );
    reading = new Reading(brokers, 1);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'LOG_TRUNCATED', offset: 2, divergesAt: 1 });
    await pauseFor(100);
    expect(reading.values()).toEqual(['v0', 'v1']);
  });

  it('stop where the log diverges from what was read before they were assigned here, as is committed', async () => {
    const [broker] = await started();
    const diverging = { epoch: 3, endOffset: 2 };
    broker.answer = (asked) => ({
      partitions: [{ partition: 0, end: END, ...(asked[0]?.lastFetchedEpoch === 4 ? { diverging } : {}) }],
    });
    reading = new Reading(brokers, 1);
    reading.partitions[0] = new DirectPartition('t', 0, 4, 4);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'LOG_TRUNCATED', offset: 4, divergesAt: 2 });
  });

  it('come where the leader has nothing of the epoch that was read, as of a log that was compacted and copied, and all that is older', async () => {
    const [broker] = await started();
    broker.answer = async (asked) => {
      const isUnknown = asked[0]?.lastFetchedEpoch === 4;
      return isUnknown
        ? { partitions: [{ partition: 0, end: END, diverging: { epoch: 2, endOffset: 3 } }] }
        : healthy(asked);
    };
    reading = new Reading(brokers, 1);
    reading.partitions[0] = new DirectPartition('t', 0, 3, 4);
    await reading.until('the rest is read', () => reading?.values().length === END - 3);
    expect([reading.values(), reading.errors]).toEqual([['v3', 'v4', 'v5'], []]);
    expect(new Set(broker.asked.map(([first]) => first?.lastFetchedEpoch))).toEqual(new Set([4, 2, 5]));
  });

  it('come where the leader has nothing of the epoch that was read, and what comes next has none', async () => {
    const [broker] = await started();
    const end = 4;
    const records = writeBatch({ baseOffset: 3, leaderEpoch: -1, records: [plainRecord(0, 'v3')] });
    broker.answer = async ([asked]) => {
      if (asked?.offset === end) await pauseFor(10);
      const isUnknown = asked?.lastFetchedEpoch === 4;
      const answer = isUnknown ? { diverging: { epoch: 2, endOffset: 3 } } : asked?.offset === 3 ? { records } : {};
      return { partitions: [{ partition: 0, end, ...answer }] };
    };
    reading = new Reading(brokers, 1);
    reading.partitions[0] = new DirectPartition('t', 0, 3, 4);
    await reading.until('it is read, or refused', () => reading?.values().length === 1 || reading?.errors.length === 1);
    expect([reading.values(), reading.errors]).toEqual([['v3'], []]);
  });

  it('stop where an older epoch stands in the place of the one that was read', async () => {
    const [broker] = await started();
    broker.answer = async (asked) => {
      const isUnknown = asked[0]?.lastFetchedEpoch === 7;
      return isUnknown
        ? { partitions: [{ partition: 0, end: END, diverging: { epoch: 5, endOffset: END } }] }
        : healthy(asked);
    };
    reading = new Reading(brokers, 1);
    reading.partitions[0] = new DirectPartition('t', 0, 3, 7);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'LOG_TRUNCATED', offset: 3, divergesAt: 3 });
    expect(reading.values()).toEqual([]);
  });

  it.each([
    ['that its log parts from what was read', { diverging: { epoch: 3, endOffset: 2 } }],
    ['that the offset is not in its log', { errorCode: 1 }],
  ])('stop where a replica says %s, and the leader, which would name it again, says so too', async (_what, answer) => {
    const [one, two] = await started(2);
    const partition = { partition: 0, end: END };
    one.answer = ([asked]) => ({ partitions: [{ ...partition, ...(asked?.rack === '' ? answer : { replica: 2 }) }] });
    two.answer = () => ({ partitions: [{ ...partition, ...answer }] });
    reading = new Reading(brokers, 1, { rack: 'r' });
    reading.partitions[0] = new DirectPartition('t', 0, 4, 6);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'LOG_TRUNCATED', offset: 4 });
  });

  it('say nothing of the epoch of a batch that has none', async () => {
    const [broker] = await started();
    const records = writeBatch({ leaderEpoch: -1, records: [plainRecord(0, 'v0')] });
    broker.answer = first({ partitions: [{ partition: 0, end: END, records }] });
    reading = new Reading(brokers, 1);
    const { records: read } = await readsAll();
    expect(read.map(({ leaderEpoch }) => leaderEpoch)).toEqual([undefined, 5, 5, 5, 5, 5]);
  });

  it.each([
    ['there is no such epoch in the log yet', 6, { code: 'LOG_TRUNCATED', offset: 2, divergesAt: 0 }],
    ['the offset is not there either', 6, { code: 'OFFSET_OUT_OF_RANGE', offset: 12 }],
  ])('stop where a leader says of a younger epoch than its own that %s', async (_what, epoch, error) => {
    const [broker] = await started();
    broker.answer = () => ({ partitions: [{ partition: 0, errorCode: 1 }] });
    reading = new Reading(brokers, 1);
    reading.range = { earliest: 0, latest: END };
    reading.partitions[0] = new DirectPartition('t', 0, error.offset, epoch);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject(error);
  });

  it('go on where a leader whose epoch is not known says that their offset is not in the log', async () => {
    const [broker] = await started();
    broker.leaders = [{ id: 1, epoch: -1 }];
    broker.answer = first({ partitions: [{ partition: 0, errorCode: 1 }] });
    reading = new Reading(brokers, 1);
    reading.partitions[0] = new DirectPartition('t', 0, 0, 6);
    expect((await readsAll()).errors).toEqual([]);
  });

  it('stop where the topic is another one of the same name', async () => {
    const [broker] = await started();
    broker.answer = first({ partitions: [{ partition: 0, end: END, records: logFrom(0) }] });
    reading = new Reading(brokers, 1);
    await reading.until('the first ones came', () => (reading?.values().length ?? 0) >= 2);
    const old = broker.topicId;
    broker.topicId = 'f'.repeat(32);
    broker.answer = (asked) =>
      asked[0]?.topicId === old ? { partitions: [{ partition: 0, errorCode: 100 }] } : healthy(asked);
    broker.drop();
    await reading.until('it is told', () => reading?.errors.some(({ code }) => code === 'LOG_TRUNCATED') === true);
    expect(broker.asked.flat().filter(({ topicId }) => topicId !== old)).toEqual([]);
  });

  it('stop of what is kept only, where a partition of the other topic is being given back', async () => {
    const [broker] = await started();
    broker.leaders = [0, 1].map(() => ({ id: 1, epoch: 5 }));
    reading = new Reading(brokers, 2);
    await reading.until('all came', () => [0, 1].every((partition) => reading?.values(partition).length === END));
    reading.partitions[0]?.withhold();
    broker.topicId = 'f'.repeat(32);
    broker.answer = (asked) => ({ partitions: asked.map(({ partition }) => ({ partition, errorCode: 100 })) });
    await reading.until('it is told', () => reading?.errors.some(({ code }) => code === 'LOG_TRUNCATED') === true);
    await pauseFor(50);
    expect(reading.errors).toMatchObject([{ code: 'LOG_TRUNCATED', partition: 1 }]);
  });

  it('come from a topic that was created anew before anything of it was assigned here, though the old one was known', async () => {
    const [broker] = await started();
    broker.answer = first({ partitions: [{ partition: 0, end: END, records: logFrom(0) }] });
    reading = new Reading(brokers, 1);
    await reading.until('the first ones came', () => (reading?.values().length ?? 0) >= 2);
    // Given away, and assigned again when the topic is another one.
    reading.partitions[0]?.withhold();
    const old = broker.topicId;
    broker.topicId = 'f'.repeat(32);
    broker.answer = (asked) =>
      asked[0]?.topicId === old ? { partitions: [{ partition: 0, errorCode: 100 }] } : healthy(asked);
    reading.records.length = 0;
    reading.partitions[0] = new DirectPartition('t', 0, 0);
    reading.fetcher.turn();
    expect((await readsAll()).errors).toEqual([]);
  });

  it('stop in front of a corrupt batch, once it was so three times, with what is whole before it', async () => {
    const [broker] = await started();
    const corrupt = logFrom(1, 1);
    corrupt[corrupt.length - 3] = 0x77;
    const answers = { partitions: [{ partition: 0, end: END, records: Buffer.concat([logFrom(0, 1), corrupt]) }] };
    broker.answer = (asked) =>
      asked[0]?.offset === 0 ? answers : { partitions: [{ partition: 0, end: END, records: corrupt }] };
    reading = new Reading(brokers, 1);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'CORRUPT_RECORD', offset: 1, lastOffset: 1 });
    expect([reading.values(), broker.asked.length]).toEqual([['v0'], 3]);
  });

  it('come though they stand behind the high watermark: a broker notes that before it reads its log, and it may rise meanwhile', async () => {
    const [broker] = await started();
    const late = (offset: number): ScriptedAnswer => ({
      partitions: [{ partition: 0, end: offset, records: logFrom(offset) }],
    });
    broker.answer = first(late(0), late(2), late(4));
    reading = new Reading(brokers, 1);
    expect([(await readsAll()).errors, broker.asked[3]?.[0]?.offset]).toEqual([[], END]);
  });

  it('come all, once, though batches came in another order', async () => {
    const [broker] = await started();
    const records = Buffer.concat([0, 3, 1, 2].map((offset) => logFrom(offset, 1)));
    broker.answer = first({ partitions: [{ partition: 0, end: END, records }] });
    reading = new Reading(brokers, 1);
    expect((await readsAll()).errors).toEqual([]);
  });

  it('come whole where what came was corrupt on its way', async () => {
    const [broker] = await started();
    const corrupt = logFrom(0, 1);
    corrupt[corrupt.length - 3] = 0x77;
    broker.answer = first({ partitions: [{ partition: 0, end: END, records: corrupt }] });
    reading = new Reading(brokers, 1);
    expect((await readsAll()).errors).toEqual([]);
  });

  it('of aborted transactions are left out', async () => {
    const [broker] = await started();
    const written = { attributes: TRANSACTIONAL, producerId: 7, baseOffset: 0, records: [plainRecord(0, 'aborted')] };
    const records = Buffer.concat([writeBatch(written), logFrom(1, 1)]);
    broker.answer = first({
      partitions: [{ partition: 0, end: END, aborted: [{ producerId: 7, firstOffset: 0 }], records }],
    });
    reading = new Reading(brokers, 1);
    await reading.until('the rest came', () => reading?.values().length === END - 1);
    expect(reading.values()).toEqual(all.slice(1));
  });

  it('are not asked for while a partition is paused, withheld, or full, and never come then', async () => {
    const [broker] = await started();
    broker.leaders = [0, 1, 2].map(() => ({ id: 1, epoch: 5 }));
    reading = new Reading(brokers, 3, { partitionBytes: 0 });
    const [paused, withheld] = reading.partitions as [DirectPartition, DirectPartition];
    paused.isPaused = true;
    withheld.withhold();
    await reading.until('the open one came', () => reading?.values(2).length === END);
    expect(new Set(broker.asked.flat().map(({ partition }) => partition))).toEqual(new Set([2]));
    paused.isPaused = false;
    reading.fetcher.turn();
    await readsAll();
  });

  it('are not asked for of a partition that is full, while another one goes on, and are again once it is taken from', async () => {
    const [broker] = await started();
    broker.leaders = [0, 1].map(() => ({ id: 1, epoch: 5 }));
    reading = new Reading(brokers, 2, { partitionBytes: 1 });
    reading.kept.add(0);
    await reading.until('the other one came', () => reading?.values(1).length === END);
    const naming = (partition: number): number =>
      broker.asked.filter((asked) => asked.some((one) => one.partition === partition)).length;
    expect([naming(0), naming(1) > 2]).toEqual([1, true]);
    reading.kept.clear();
    await readsAll();
  });

  it('are not asked for of any more partitions once enough waits to be taken, and are when what waits is paused', async () => {
    const [broker] = await started();
    const count = 40;
    broker.leaders = Array.from({ length: count }, () => ({ id: 1, epoch: 5 }));
    const records = writeBatch({ leaderEpoch: 5, records: [plainRecord(0, 'x'.repeat(1024 * 1024))] });
    // As Kafka does it: only the first one that has anything gets a batch that is too large.
    broker.answer = (asked) => ({
      partitions: asked.map(({ partition }, i) => ({ partition, end: 100, ...(i === 0 ? { records } : {}) })),
    });
    reading = new Reading(brokers, count, { partitionBytes: 1 });
    const { partitions, fetcher } = reading;
    for (const { partition } of partitions) reading.kept.add(partition);
    const full = (): DirectPartition[] => partitions.filter(({ hasRecords }) => hasRecords);
    await reading.until('as much as may wait has come', () => full().length >= 16);
    await pauseFor(200);
    expect(full().length).toBeLessThanOrEqual(17);
    for (const owned of full()) owned.isPaused = true;
    fetcher.room();
    await reading.until('others have come', () => full().length >= 32);
  });

  it('are asked for in small portions unless told otherwise, so that reading one does not hold the event loop', async () => {
    const [broker] = await started();
    const kafka = resolveConfluentKafkaOptions({ brokers: [`127.0.0.1:${broker.port}`] });
    const { partitionBytes, responseBytes } = directOptions(kafka, {});
    reading = new Reading(brokers, 1, { partitionBytes, responseBytes });
    await readsAll();
    expect(broker.asked[0]).toMatchObject([{ maxBytes: 128 * 1024, answerMaxBytes: 1024 * 1024 }]);
  });

  it('are asked for again before anybody takes what the last answer has brought', async () => {
    await started();
    reading = new Reading(brokers, 1);
    const { asksBeforeTaking } = await readsAll();
    expect(asksBeforeTaking).toEqual([true, true, true]);
  });

  it('asked for before their partition was moved are dropped', async () => {
    const [broker] = await started();
    let answerNow = (): void => {};
    broker.answer = async (asked) => {
      if (asked[0]?.offset === 2 && broker.asked.length === 2)
        await new Promise<void>((resolve) => (answerNow = resolve));
      return healthy(asked);
    };
    reading = new Reading(brokers, 1);
    await reading.until('it is asked for', () => broker.asked.length === 2);
    reading.partitions[0]?.moveTo(0);
    answerNow();
    await reading.until('all came again', () => (reading?.values().length ?? 0) >= END + 2);
    expect(reading.values()).toEqual(['v0', 'v1', ...all]);
  });

  it('say so once while their broker is away, and once more when it was away again', async () => {
    const [broker] = await started();
    broker.answer = () => 'close';
    reading = new Reading(brokers, 1);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'CONNECTION', retriable: true });
    await pauseFor(500);
    expect(reading.errors).toHaveLength(1);
    broker.answer = healthy;
    await readsAll();
    broker.answer = () => 'close';
    await reading.until('it is told again', () => reading?.errors.length === 2);
  });

  it('say so while nobody may read them', async () => {
    const [broker] = await started();
    broker.answer = () => ({ partitions: [{ partition: 0, errorCode: 29 }] });
    reading = new Reading(brokers, 1);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'AUTHORIZATION', operation: 'READ', topics: ['t'] });
  });

  it('say so while nobody leads their partition, and come when somebody does', async () => {
    const [broker] = await started();
    broker.leaders = [{ id: -1, epoch: 4 }];
    reading = new Reading(brokers, 1);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'POLL', retriable: true, message: 't/0: it has no leader' });
    broker.leaders = [{ id: 1, epoch: 5 }];
    expect((await readsAll()).errors).toHaveLength(1);
  });

  it('say so while nobody leads their partition, though another topic is not there either', async () => {
    const [broker] = await started();
    broker.leaders = [{ id: -1, epoch: 4 }];
    broker.unknownTopics = ['gone'];
    reading = new Reading(brokers, 1);
    reading.partitions.push(new DirectPartition('gone', 0, 0));
    await reading.until('both are told', () => reading?.errors.length === 2);
    const messages = ['gone: the topic is not there (any more)', 't/0: it has no leader'];
    expect(reading.errors.map(({ message }) => message).sort()).toEqual(messages);
  });

  it('come when the brokers that are asked who leads do not know, and another one does', async () => {
    const [one, two] = await started(2);
    one.leaders = [{ id: -1, epoch: 4 }];
    two.leaders = [{ id: 2, epoch: 5 }];
    reading = new Reading([one], 1);
    await readsAll();
    expect(two.metadataRequests).toBeGreaterThan(0);
  });

  it('say so while their topic is not there, and come when it is', async () => {
    const [broker] = await started();
    broker.topicError = 3;
    reading = new Reading(brokers, 1);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({ code: 'POLL', retriable: true });
    broker.topicError = 0;
    await readsAll();
  });

  /** From now on it is so much later. */
  const later = (ms: number): void => {
    const now = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => now() + ms);
  };

  it('say so when they have not come for long, whatever the broker says', async () => {
    const [broker] = await started();
    broker.answer = () => ({ partitions: [{ partition: 0, errorCode: 56 }] });
    reading = new Reading(brokers, 1);
    await reading.until('it was asked twice', () => broker.asked.length > 2);
    expect(reading.errors).toEqual([]);
    later(11_000);
    await reading.until('it is told', () => reading?.errors.length === 1);
    expect(reading.errors[0]).toMatchObject({
      code: 'POLL',
      retriable: true,
      message: expect.stringMatching(/t\/0: .* error 56/),
    });
    broker.answer = healthy;
    expect([(await readsAll()).errors.length, reading.left]).toEqual([1, []]);
  });

  // One whose length is wrong looks like one that is cut off.
  it.each([
    ['one that never ends', logFrom(1, 1).subarray(0, -1)],
    ['nothing', Buffer.alloc(0)],
  ])(
    'say so when nothing but %s comes where the log goes on, and are not asked for all the time',
    async (_what, rest) => {
      const [broker] = await started();
      broker.answer = (asked) => {
        const records = asked[0]?.offset === 0 ? Buffer.concat([logFrom(0, 1), rest]) : rest;
        return { partitions: [{ partition: 0, end: END, records }] };
      };
      reading = new Reading(brokers, 1);
      await pauseFor(900);
      expect([reading.values(), reading.errors]).toEqual([['v0'], []]);
      // Each wait is twice as long as the one before.
      expect(broker.asked.length).toBeLessThan(9);
      later(11_000);
      await reading.until('it is told', () => reading?.errors.length === 1);
      const message = expect.stringMatching(/t\/0: .* no whole batch from offset 1 on/);
      expect(reading.errors[0]).toMatchObject({ code: 'POLL', retriable: true, message });
      broker.answer = healthy;
      await readsAll();
    },
  );

  it('say so when their leader says for long that an offset is not in its log, and its log has it', async () => {
    const [broker] = await started();
    broker.answer = () => ({ partitions: [{ partition: 0, errorCode: 1 }] });
    reading = new Reading(brokers, 1);
    await reading.until('it was asked twice', () => broker.asked.length > 2);
    later(11_000);
    await reading.until('it is told', () => reading?.errors.length === 1);
    const message = expect.stringMatching(/t\/0: .* offset 0 is not in its log, which has 0 to 6/);
    expect([reading.errors[0], reading.left]).toMatchObject([{ code: 'POLL', retriable: true, message }, []]);
  });
});

describe('a partition is left to librdkafka', () => {
  let reading: Reading | undefined;
  let broker: ScriptedBroker;
  beforeEach(async () => {
    broker = await new ScriptedBroker(1).start();
    broker.leaders = [0, 1].map(() => ({ id: 1, epoch: 5 }));
    broker.answer = healthy;
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    reading?.fetcher.stop();
    await broker.stop();
  });

  /** Partition 0 has this from offset 1 on; partition 1 is as it should be. */
  const oneHas = (records: Buffer) => async (asked: readonly AskedPartition[]) => {
    const { partitions } = (await healthy(asked)) as Exclude<ScriptedAnswer, string | Buffer>;
    const own = (offset: number): Buffer => Buffer.concat([offset === 0 ? logFrom(0, 1) : Buffer.alloc(0), records]);
    return {
      partitions: asked.map(({ partition, offset }, i) =>
        partition === 0 ? { partition, end: END, records: own(offset) } : (partitions[i] as { partition: number }),
      ),
    };
  };

  it.each([
    ['a message of the format before Kafka 0.11', oldMessage(1), /message format 1/],
    [
      'a codec that is not there',
      writeBatch({ baseOffset: 1, compression: 'gzip', records: [plainRecord(0, 'x')] }),
      /compression 1/,
    ],
  ])('where %s stands, at its offset, and no other one is', async (_case, bytes, why) => {
    broker.answer = oneHas(bytes);
    const { 1: _gzip, ...decompress } = library.codecs.decompress;
    reading = new Reading([broker], 2, {}, { ...library, codecs: { ...library.codecs, decompress } });
    await reading.until('it is left', () => reading?.left.length === 1);
    expect(reading.left).toEqual([{ partition: 0, next: 1, why: expect.stringMatching(why) }]);
    await reading.until('the other one came', () => reading?.values(1).length === END);
    expect([reading.values(0), reading.errors]).toEqual([['v0'], []]);
  });

  it('where its topic has no id', async () => {
    broker.topicId = '0'.repeat(32);
    reading = new Reading([broker], 2);
    await reading.until('it is left', () => reading?.left.length === 2);
    expect(reading.left[0]).toMatchObject({ next: 0, why: expect.stringMatching(/no id/) });
  });

  it.each([
    [{ fetch: 12, metadata: 12 }, /records of version 4 to 12, and the direct reader needs one of 13/],
    [{ fetch: 13, metadata: 11 }, /metadata of version 0 to 11, and the direct reader needs 12/],
  ])('where its leader is too old: %j', async (newest, why) => {
    broker.newest = newest;
    reading = new Reading([broker], 1);
    await reading.until('it is left', () => reading?.left.length === 1);
    expect(reading.left[0]?.why).toMatch(why);
  });

  it('where librdkafka reaches its leader, and this reader has not for long', async () => {
    broker.answer = () => 'close';
    reading = new Reading([broker], 2);
    reading.range = undefined;
    await reading.until('it is told', () => reading?.errors.length === 1);
    const now = performance.now.bind(performance);
    let shift = 11_000;
    jest.spyOn(performance, 'now').mockImplementation(() => now() + shift);
    await pauseFor(1_500);
    // Once for all that it leads.
    expect([reading.left, reading.questions]).toEqual([[], 1]);
    // Now librdkafka does.
    reading.range = { earliest: 0, latest: END };
    shift = 22_000;
    await reading.until('both are left', () => reading?.left.length === 2);
    expect(reading.questions).toBe(2);
    expect(reading.left[0]).toMatchObject({ next: 0, why: expect.stringMatching(/librdkafka reaches its leader/) });
  });

  it('not where the broker comes back while librdkafka is asked', async () => {
    broker.answer = () => 'close';
    reading = new Reading([broker], 1);
    await reading.until('it is told', () => reading?.errors.length === 1);
    reading.range = { earliest: 0, latest: END };
    const now = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => {
      broker.answer = healthy;
      return now() + 11_000;
    });
    await reading.until('all came', () => reading?.values().length === END);
    expect(reading.left).toEqual([]);
  });
});

describe('a broker that does not answer a login', () => {
  let server: Server;
  let closed: Promise<void>;
  let asked: Promise<void>;
  const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const;
  const connection = { connectTimeout: 60_000, requestTimeout: 60_000, sasl };
  beforeEach(async () => {
    asked = new Promise((isAsked) => {
      closed = new Promise((isClosed) => {
        server = createServer((socket) => {
          socket.on('error', () => {}).on('data', () => isAsked());
          socket.on('close', () => isClosed());
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    server.close();
  });
  const portOf = (): number => (server.address() as { port: number }).port;

  // Each would last for a minute.
  it('is let go by a reader that is stopped while it asks who leads', async () => {
    const reading = new Reading([{ port: portOf() } as ScriptedBroker], 1, { connection });
    await asked;
    reading.fetcher.stop();
    await closed;
    expect(reading.errors).toEqual([]);
  });

  it('is let go by a link that is closed', async () => {
    const link = new LeaderLink();
    const address = { id: 1, host: '127.0.0.1', port: portOf() };
    const fetching = link.fetch(library, { clientId: 'c', connection } as DirectOptions, address, {} as FetchRequest);
    await asked;
    link.close();
    await expect(fetching).rejects.toThrow('closed while connecting');
    await closed;
  });
});
