import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { logWithOldMessages, TwoReadersUnderTest } from '../testing/two-readers-under-test.ts';
import { plainRecord, writeBatch } from '../testing/written-batch.ts';
import { pauseFor } from './bounded.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';

const END = 40;
const WAIT_MS = 10_000;
const topic = 't';
const moved = 'kafka consumer reads a partition through librdkafka from now on';

let library: DirectLibrary;
beforeAll(async () => {
  library = await loadDirectLibrary();
});

describe('two readers', () => {
  let broker: ScriptedBroker;
  let both: TwoReadersUnderTest;
  const taken: { readonly partition: number; readonly offset: number }[] = [];
  const ends = new Map<number, number>();

  beforeEach(async () => {
    broker = await new ScriptedBroker(1).start();
    broker.leaders = [0, 1].map(() => ({ id: 1, epoch: 5 }));
    // Partition 0 has one that is old.
    broker.answer = logWithOldMessages(END, (partition, offset) => partition === 0 && offset === 10);
    both = new TwoReadersUnderTest(broker, library, END);
    both.changed = () => take(7);
    taken.splice(0);
    ends.clear();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    both.changed = () => {};
    await both.stop();
    await broker.stop();
  });

  const take = (max: number): void => {
    const { records, positions } = both.take(max);
    taken.push(...records);
    for (const { partition, offset } of positions) ends.set(partition, offset);
  };
  const offsetsOf = (partition: number): number[] =>
    taken.filter((record) => record.partition === partition).map(({ offset }) => offset);
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (const deadline = Date.now() + WAIT_MS; !holds(); await pauseFor(5)) {
      if (Date.now() > deadline) throw new Error(`waited in vain until ${what}: ${JSON.stringify(taken)}`);
      take(7);
    }
  };
  const isMoved = (): boolean => both.told.some(({ message }) => message === moved);
  const offsets = (from: number): number[] => Array.from({ length: END - from }, (_, i) => from + i);

  it('read each record once and in order, a partition that the direct one cannot read by librdkafka from there on', async () => {
    both.assign(0, 3);
    both.assign(1, 0);
    await until('all came', () => offsetsOf(0).length === END - 3 && offsetsOf(1).length === END);
    expect([offsetsOf(0), offsetsOf(1)]).toEqual([offsets(3), offsets(0)]);
    expect(both.told).toEqual([
      { message: moved, topic, partition: 0, offset: 10, why: 'message format 1, of before Kafka 0.11, at offset 10' },
    ]);
    expect(both.native.flowing).toEqual(['t/0']);
    await until('both ends are told', () => ends.get(0) === END && ends.get(1) === END);
    expect([0, 1].map((partition) => both.reader.watermarks({ topic, partition }))).toEqual([
      { earliest: 0, latest: END },
      { earliest: 0, latest: END },
    ]);
    expect(both.errors).toEqual([]);
  });

  it.each([
    ['that stays', 1, 0],
    ['that moves to librdkafka later', 0, 3],
  ])('drop what librdkafka brings of a partition before it is paused, of one %s', async (_case, partition, from) => {
    const { answer } = broker;
    let open = (): void => {};
    const isPaused = new Promise<void>((resolve) => (open = resolve));
    // Until then nothing comes to the direct one.
    broker.answer = (asked) => isPaused.then(() => answer(asked));
    const last = `t/${partition}@${END - 1}`;
    await both.assignSlowly(partition, from, async () => {
      await until('librdkafka has brought all, and is at the end', () => both.native.brought.includes(last));
      await pauseFor(20);
      take(100);
      expect([taken, [...ends]]).toEqual([[], []]);
      expect(Array.from(both.reader.owned)).toMatchObject([{ partition, next: from }]);
      expect(both.reader.watermarks({ topic, partition })).toBeUndefined();
    });
    expect(both.native.brought).toHaveLength(END - from);
    open();
    await until('all came', () => offsetsOf(partition).at(-1) === END - 1);
    await until('the end is told', () => ends.get(partition) === END);
    expect([offsetsOf(partition), isMoved()]).toEqual([offsets(from), partition === 0]);
    expect(both.errors).toEqual([]);
  });

  it('drop what a turn of its queue brings that began before librdkafka was paused', async () => {
    // No other one is under way.
    await pauseFor(50);
    both.assignInTurn(0, 3);
    expect(both.native.brought).toEqual([3, 4, 5, 6].map((offset) => `t/0@${offset}`));
    await until('all came', () => offsetsOf(0).at(-1) === END - 1);
    expect([offsetsOf(0), isMoved()]).toEqual([offsets(3), true]);
    expect(both.told).toMatchObject([{ partition: 0, offset: 10 }]);
  });

  it('keep paused what is paused while it moves, and go on where it stood', async () => {
    both.native.seekFailures = 1;
    both.assign(0, 0);
    await until('it is about to move', () => both.told.length === 1);
    both.reader.pause([{ topic, partition: 0 }]);
    await until('it has moved', isMoved);
    await pauseFor(100);
    expect(offsetsOf(0)).toEqual(offsets(0).slice(0, 10));
    both.reader.resume([{ topic, partition: 0 }]);
    await until('all came', () => offsetsOf(0).length === END);
    expect(offsetsOf(0)).toEqual(offsets(0));
  });

  it('move nothing that librdkafka would pass over: that is an error', async () => {
    const { answer } = broker;
    const records = writeBatch({ baseOffset: 0, attributes: 6, records: [plainRecord(0, 'x')] });
    broker.answer = async (asked) => {
      const whole = (await answer(asked)) as { partitions: { partition: number }[] };
      return {
        partitions: whole.partitions.map((one) => (one.partition === 0 ? { partition: 0, end: END, records } : one)),
      };
    };
    both.assign(0, 0);
    both.assign(1, 0);
    await until('the other one came', () => offsetsOf(1).length === END);
    expect(both.errors).toMatchObject([{ code: 'CORRUPT_RECORD', offset: 0 }]);
    expect([offsetsOf(0), both.told]).toEqual([[], []]);
  });

  it('go on from where somebody sought before, during and after the move', async () => {
    both.assign(0, 0);
    await until('it is about to move', () => offsetsOf(0).length === 10);
    await both.seek(0, 5);
    await until('it has moved', isMoved);
    await until('all came', () => offsetsOf(0).at(-1) === END - 1);
    expect(offsetsOf(0)).toEqual([...offsets(0).slice(0, 10), ...offsets(5)]);
    taken.splice(0);
    await both.seek(0, 20);
    await until('all came again', () => offsetsOf(0).length === END - 20);
    expect(offsetsOf(0)).toEqual(offsets(20));
  });

  it('begin with the direct one when the partition comes back', async () => {
    both.assign(0, 0);
    await until('all came', () => offsetsOf(0).length === END);
    both.withhold(0);
    both.release(0);
    taken.splice(0);
    both.assign(0, 11);
    await until('all came again', () => offsetsOf(0).length === END - 11);
    expect(offsetsOf(0)).toEqual(offsets(11));
    expect([both.told.length, both.native.flowing]).toEqual([1, []]);
    expect(Array.from(both.reader.owned)).toHaveLength(1);
  });

  it('hand nothing out of a partition that has moved, once its revocation is reported', async () => {
    both.changed = () => {};
    both.assign(0, 0);
    await until('it has moved', isMoved);
    // Meanwhile librdkafka's buffer gets something.
    await pauseFor(50);
    both.withhold(0);
    taken.splice(0);
    take(100);
    expect(taken).toEqual([]);
    both.release(0);
    expect([Array.from(both.reader.owned), both.native.flowing]).toEqual([[], []]);
  });

  it('move nothing that was taken away meanwhile', async () => {
    both.native.seekFailures = 1;
    both.assign(0, 0);
    await until('the first try has failed', () => both.told.length === 1);
    expect(both.told[0]).toMatchObject({ message: expect.stringMatching(/cannot move/), partition: 0, offset: 10 });
    both.withhold(0);
    both.release(0);
    await pauseFor(1_200);
    expect([both.told.length, Array.from(both.reader.owned), both.native.flowing]).toEqual([1, [], []]);
  });

  it('move nothing that is taken away while its position is being put there', async () => {
    let open = (): void => {};
    both.native.seekGate = new Promise((resolve) => (open = resolve));
    both.assign(0, 0);
    await until('it is about to move', () => offsetsOf(0).length === 10);
    await pauseFor(300);
    both.withhold(0);
    both.release(0);
    both.assign(0, 20);
    open();
    await until('all came', () => offsetsOf(0).length === 10 + END - 20);
    expect(offsetsOf(0)).toEqual([...offsets(0).slice(0, 10), ...offsets(20)]);
    expect([both.told, both.native.flowing, Array.from(both.reader.owned).length]).toEqual([[], [], 1]);
  });

  it('try a move again that has failed', async () => {
    both.native.seekFailures = 1;
    both.assign(0, 0);
    await until('all came', () => offsetsOf(0).length === END);
    expect(offsetsOf(0)).toEqual(offsets(0));
  });

  it('do not hold the time of a pause against a partition that did not come before it', async () => {
    const { answer } = broker;
    broker.answer = () => 'close';
    both.assign(1, 0);
    await until('it was asked twice', () => broker.asked.length > 2);
    both.reader.pause([{ topic, partition: 1 }]);
    const now = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
    const asked = broker.asked.length;
    both.reader.resume([{ topic, partition: 1 }]);
    for (; broker.asked.length < asked + 5; take(7)) await pauseFor(5);
    broker.answer = answer;
    await until('all came', () => offsetsOf(1).length === END);
    expect(both.told).toEqual([]);
  });

  it('take turns, so that neither waits for all of the other', async () => {
    both.changed = () => {};
    both.assign(0, 0);
    await until('it has moved', isMoved);
    both.assign(1, 0);
    for (let at = 0; at < 3; at++) {
      // Meanwhile both have something.
      await pauseFor(100);
      taken.splice(0);
      take(4);
      expect(taken.map(({ partition }) => partition)).toEqual([0, 0, 1, 1]);
    }
    // One at a time, it is the one and then the other.
    const [first, second] = [1, 1].map((max) => both.take(max).records[0]?.partition);
    expect([first, second].sort()).toEqual([0, 1]);
  });

  it('count what waits in either', () => {
    const counts = { queuedRecords: 3, queuedBytes: 30, sentBytes: 1, receivedBytes: 2 };
    const librdkafka = { client: 'consumer' as const, ...counts, brokers: [] };
    expect(both.reader.statistics(librdkafka)).toMatchObject({ queuedRecords: 3, queuedBytes: 30 });
  });
});
