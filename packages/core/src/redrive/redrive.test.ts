import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deadLetterHeaders } from '../dead-letter-message.ts';
import { InvalidOptionError, ProduceError, UnknownTopicError } from '../errors.ts';
import { toError } from '../kafka-worker-error.ts';
import type { OutgoingRecord, OwnedRecord } from '../record.ts';
import { type FakeKafka, fakeKafka } from '../testing/fake-kafka.ts';
import { type RedriveOptions, type RedriveProgress, type RedriveSummary, redrive } from './index.ts';

const GROUP = 'kafka-worker.redrive.dead';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(async () => {
  await new Promise((resolve) => void setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

function cluster(partitions = 1): FakeKafka {
  return fakeKafka({
    topics: { dead: { partitions }, orders: { partitions: 4 }, payments: { partitions: 2 }, other: { partitions: 1 } },
  });
}

function deadLetter(value: string, partition = 0, source: string | null = 'orders'): OutgoingRecord {
  const headers: [string, string][] = source === null ? [] : [[deadLetterHeaders.topic, source]];
  return { topic: 'dead', partition, key: `key ${value}`, value, headers };
}

function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i));
}

/** Moves the clock on until the run is over. */
async function settled<T>(kafka: FakeKafka, run: Promise<T>, mostMs = 60_000): Promise<T | Error> {
  let result: T | Error | undefined;
  run.then(
    (value) => {
      result = value;
    },
    (thrown: unknown) => {
      result = toError(thrown);
    },
  );
  for (let ms = 0; result === undefined; ms += 50) {
    if (ms > mostMs) throw new Error('the run does not end');
    await kafka.clock.advance(50);
  }
  return result;
}

async function run(kafka: FakeKafka, options: Partial<RedriveOptions> = {}): Promise<RedriveSummary> {
  const result = await settled(kafka, redrive({ kafka, clock: kafka.clock, logger: quiet, from: 'dead', ...options }));
  if (result instanceof Error) throw result;
  return result;
}

/** As a broker does, it refuses every message of a batch that has one of that value. */
function refusing(kafka: FakeKafka, value: string): FakeKafka {
  return {
    ...kafka,
    producer: (options) => {
      const producer = kafka.producer(options);
      let batch: { readonly message: OutgoingRecord; readonly answer: (refused: boolean) => void }[] = [];
      const flush = (): void => {
        const isRefused = batch.some(({ message }) => String(message.value) === value);
        for (const { answer } of batch) answer(isRefused);
        batch = [];
      };
      const send: typeof producer.send = async (message) => {
        if (batch.length === 0) setImmediate(flush);
        const isRefused = await new Promise<boolean>((answer) => void batch.push({ message, answer }));
        if (isRefused) throw new ProduceError(message.topic, `${message.topic}: not sent: too large`);
        return producer.send(message);
      };
      return {
        ...{ fatal: undefined, send },
        connect: (how) => producer.connect(how),
        check: (message) => producer.check(message),
        close: (timeoutMs) => producer.close(timeoutMs),
      };
    },
  };
}

const values = (records: readonly OwnedRecord[]): string[] => records.map(({ value }) => String(value));
const sorted = (list: readonly string[]): string[] => [...list].sort((a, b) => Number(a) - Number(b));

describe('redrive', () => {
  it('sends each dead letter to the topic that it came from, and commits all of them', async () => {
    const kafka = cluster(3);
    kafka.send([
      deadLetter('1', 0),
      deadLetter('2', 1, 'payments'),
      deadLetter('3', 2),
      deadLetter('4', 2, 'payments'),
    ]);
    expect(await run(kafka)).toEqual({
      ...{ sent: 4, total: 4, left: 0, endedBy: 'end' },
      targets: { orders: 2, payments: 2 },
    });
    expect(values(kafka.records('orders')).sort()).toEqual(['1', '3']);
    expect(values(kafka.records('payments')).sort()).toEqual(['2', '4']);
    expect([...kafka.committed(GROUP, 'dead')].sort()).toEqual([
      [0, 1],
      [1, 1],
      [2, 2],
    ]);
    expect(kafka.clock.pendingTimers).toBe(0);
  });

  it('keeps the order of each partition', async () => {
    const kafka = cluster(2);
    kafka.send(numbers(500).map((value) => ({ ...deadLetter(value, Number(value) % 2), key: 'one' })));
    await run(kafka, { to: 'other' });
    const written = values(kafka.records('other'));
    for (const odd of [0, 1]) {
      const own = written.filter((value) => Number(value) % 2 === odd);
      expect(own).toEqual(sorted(own));
    }
    expect(sorted(written)).toEqual(numbers(500));
  });

  it('sends to another topic where one is named, also what does not say where it came from', async () => {
    const kafka = cluster();
    kafka.send([deadLetter('1'), deadLetter('2', 0, null)]);
    expect((await run(kafka, { to: 'other' })).targets).toEqual({ other: 2 });
    expect(values(kafka.records('other'))).toEqual(['1', '2']);
  });

  it('stops at a dead letter that does not say where it came from; what comes before it is committed, itself not', async () => {
    const kafka = cluster();
    kafka.send([deadLetter('1'), deadLetter('2', 0, null), deadLetter('3')]);
    await expect(run(kafka)).rejects.toMatchObject({
      ...{ code: 'HANDLER', topic: 'dead', partition: 0, offset: 1 },
      message: expect.stringContaining('does not say where it came from (header dead-letter.source.topic)'),
      cause: expect.any(InvalidOptionError),
    });
    expect(kafka.committed(GROUP, 'dead').get(0)).toBe(1);
    await run(kafka, { to: 'other' });
    expect(values(kafka.records('other'))).toEqual(['2', '3']);
  });

  it.each(['orders.gone', 'not a name', ''])('stops at a source topic that there is not: %j', async (source) => {
    const kafka = cluster();
    kafka.send([deadLetter('1', 0, source)]);
    await expect(run(kafka)).rejects.toMatchObject({
      code: 'HANDLER',
      cause: source === 'orders.gone' ? expect.any(UnknownTopicError) : expect.any(InvalidOptionError),
    });
    expect(kafka.committed(GROUP, 'dead').get(0) ?? 0).toBe(0);
  });

  it('refuses a topic that there is not before it reads anything', async () => {
    const kafka = cluster();
    kafka.send([deadLetter('1')]);
    await expect(run(kafka, { to: 'gone' })).rejects.toThrow(UnknownTopicError);
    await expect(run(kafka, { from: 'gone' })).rejects.toThrow(UnknownTopicError);
    expect(kafka.committed(GROUP, 'dead').size).toBe(0);
  });

  it('sends what the topic had when it started, and not what comes meanwhile', async () => {
    const kafka = cluster(2);
    kafka.send(numbers(20).map((value) => deadLetter(value, Number(value) % 2)));
    let late = 0;
    const onSent = (): void => void kafka.send([deadLetter(`late ${late++}`, late % 2)]);
    expect(await run(kafka, { onSent })).toMatchObject({ sent: 20, endedBy: 'end' });
    expect(sorted(values(kafka.records('orders')))).toEqual(numbers(20));
    expect((await run(kafka)).sent).toBe(20);
    expect(kafka.records('orders')).toHaveLength(40);
  });

  it('ends with empty partitions, control records, compacted and deleted records, and none at all', async () => {
    const kafka = cluster(5);
    expect(await run(kafka)).toMatchObject({ sent: 0, total: 0, endedBy: 'end' });
    kafka.send(numbers(4).map((value) => deadLetter(value, 1)));
    kafka.compact({ topic: 'dead', partition: 1 }, 1);
    kafka.compact({ topic: 'dead', partition: 1 }, 3);
    kafka.appendGap({ topic: 'dead', partition: 1 }, 2);
    kafka.appendGap({ topic: 'dead', partition: 2 }, 3);
    kafka.send(numbers(4, 4).map((value) => deadLetter(value, 3)));
    kafka.deleteRecords({ topic: 'dead', partition: 3 }, 2);
    expect(await run(kafka)).toMatchObject({ sent: 4, left: 0, endedBy: 'end' });
    expect(sorted(values(kafka.records('orders')))).toEqual(['0', '2', '6', '7']);
    expect(await run(kafka)).toMatchObject({ sent: 0, endedBy: 'end' });
  });

  it('starts at the beginning of a log that was deleted, or made anew, since the last run', async () => {
    const kafka = cluster();
    kafka.send(numbers(5).map((value) => deadLetter(value)));
    await run(kafka);
    kafka.deleteTopic('dead');
    kafka.createTopic('dead', { partitions: 1 });
    kafka.send(numbers(3, 5).map((value) => deadLetter(value)));
    expect(await run(kafka)).toMatchObject({ sent: 3, endedBy: 'end' });
    expect(sorted(values(kafka.records('orders')))).toEqual(numbers(8));
  });

  it('sends at most as many as the limit, and goes on behind them the next time', async () => {
    const kafka = cluster(3);
    kafka.send(numbers(100).map((value) => deadLetter(value, Number(value) % 3)));
    expect(await run(kafka, { limit: 30 })).toMatchObject({ sent: 30, left: 70, endedBy: 'limit' });
    expect(kafka.records('orders')).toHaveLength(30);
    expect(await run(kafka, { limit: 30 })).toMatchObject({ sent: 30, left: 40 });
    expect(await run(kafka, { limit: 1_000 })).toMatchObject({ sent: 40, left: 0, endedBy: 'end' });
    expect(sorted(values(kafka.records('orders')))).toEqual(numbers(100));
  });

  it('writes no more in a second than it may', async () => {
    const kafka = cluster(2);
    kafka.send(numbers(50).map((value) => deadLetter(value, Number(value) % 2)));
    await run(kafka, { perSecond: 10 });
    const times = kafka.records('orders').map(({ timestamp }) => timestamp);
    times.sort((a, b) => a - b);
    for (const [i, time] of times.entries()) {
      const tenthAfter = times[i + 10];
      if (tenthAfter !== undefined) expect(tenthAfter - time).toBeGreaterThanOrEqual(999);
    }
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeLessThan(6_000);
  });

  it('has no more writes under way than it may', async () => {
    const kafka = cluster();
    kafka.send(numbers(50).map((value) => deadLetter(value)));
    const hold = kafka.hold('send-answer');
    const running = redrive({ kafka, clock: kafka.clock, logger: quiet, from: 'dead', concurrency: 7 });
    await kafka.clock.advance(1_000);
    expect([hold.waiting, kafka.records('orders').length]).toEqual([7, 7]);
    hold.release();
    expect(await settled(kafka, running)).toMatchObject({ sent: 50 });
  });

  it('only says what it would do in a dry run', async () => {
    const kafka = cluster(2);
    kafka.send(numbers(10).map((value) => deadLetter(value, Number(value) % 2)));
    await run(kafka, { limit: 4 });
    const before = [...kafka.committed(GROUP, 'dead')];
    const groups: (string | undefined)[] = [];
    const seen: string[] = [];
    const onSent: RedriveOptions['onSent'] = ({ topic }, { partition, offset }) =>
      void seen.push(`${partition}:${offset} to ${topic}`);
    const watched = {
      ...kafka,
      consumer: (options: Parameters<FakeKafka['consumer']>[0]) => {
        groups.push(options.groupId);
        return kafka.consumer(options);
      },
      producer: () => {
        throw new Error('a dry run needs no producer');
      },
    };
    expect(await run(watched, { dryRun: true, onSent })).toEqual({
      ...{ sent: 6, total: 6, left: 0, endedBy: 'end', targets: { orders: 6 } },
    });
    expect(await run(watched, { dryRun: true, limit: 2, to: 'other' })).toMatchObject({
      ...{ sent: 2, endedBy: 'limit', targets: { other: 2 } },
    });
    expect(seen).toHaveLength(6);
    expect([...kafka.committed(GROUP, 'dead')]).toEqual(before);
    for (const group of groups) {
      if (group !== undefined && group !== GROUP) expect(kafka.committed(group, 'dead').size).toBe(0);
    }
    expect([kafka.records('orders').length, kafka.records('other').length]).toEqual([4, 0]);
  });

  it('finds in a dry run what would stop it', async () => {
    const kafka = cluster();
    kafka.send([deadLetter('1'), deadLetter('2', 0, null)]);
    await expect(run(kafka, { dryRun: true })).rejects.toMatchObject({ code: 'HANDLER', offset: 1 });
    expect(kafka.committed(GROUP, 'dead').size).toBe(0);
  });

  it('tells how far it is', async () => {
    const kafka = cluster(2);
    kafka.send(numbers(20).map((value) => deadLetter(value, Number(value) % 2)));
    const progress: RedriveProgress[] = [];
    await run(kafka, { onProgress: (now) => void progress.push(now) });
    expect(progress[0]).toEqual({ sent: 0, total: 20, left: 20 });
    expect(progress.at(-1)).toEqual({ sent: 20, total: 20, left: 0 });
  });

  it.each<[string, object, string]>([
    ['no topic', { from: undefined }, 'from: expected a topic name'],
    ['a name that is none', { to: 'a b' }, 'to: expected a topic name'],
    ['the same topic twice', { to: 'dead' }, 'to: expected another topic than from'],
    ['a limit of nothing', { limit: 0 }, 'limit: expected a whole number, at least 1'],
    ['no rate', { perSecond: 0 }, 'perSecond: expected a number above 0'],
    ['an option that there is not', { rate: 5 }, 'rate: expected no option of that name (there are kafka, from,'],
    ['no cluster', { kafka: {} }, 'kafka: expected a cluster'],
  ])('refuses %s', async (_name, wrong, message) => {
    const options = { kafka: cluster(), from: 'dead', ...wrong } as RedriveOptions;
    const refused = redrive(options);
    await expect(refused).rejects.toThrow(InvalidOptionError);
    await expect(refused).rejects.toThrow(message);
  });
});

describe('a redrive that is cut short', () => {
  it('stays before what the broker refuses, and sends it first the next time; what was only in a batch with it is sent', async () => {
    const kafka = cluster();
    kafka.send(numbers(40).map((value) => deadLetter(value)));
    const failed = run(refusing(kafka, '17'), { concurrency: 10 });
    await expect(failed).rejects.toThrow('dead/0 offset 17 failed in its first attempt: orders: not sent: too large');
    await expect(failed).rejects.toMatchObject({ code: 'HANDLER', cause: expect.any(ProduceError) });
    expect(kafka.committed(GROUP, 'dead').get(0)).toBe(17);
    await run(kafka);
    const written = values(kafka.records('orders'));
    expect(new Set(written)).toEqual(new Set(numbers(40)));
    expect(written.length).toBeLessThan(50);
  });

  it('stays before what could not be delivered for now', async () => {
    const kafka = cluster();
    kafka.send(numbers(40).map((value) => deadLetter(value)));
    kafka.failSends(1, { retriable: true });
    await expect(run(kafka)).rejects.toMatchObject({ code: 'HANDLER', offset: 0 });
    expect(kafka.committed(GROUP, 'dead').get(0)).toBe(0);
    await run(kafka);
    expect(new Set(values(kafka.records('orders')))).toEqual(new Set(numbers(40)));
  });

  it('repeats at most what was not acknowledged when the run before died', async () => {
    const kafka = cluster(2);
    kafka.send(numbers(1_000).map((value) => deadLetter(value, Number(value) % 2)));
    let acknowledged = 0;
    const gone = new AbortController();
    // Its writes reach the log, and from the 300th on no answer comes back any more.
    const first = redrive({
      ...{ kafka, clock: kafka.clock, logger: quiet, from: 'dead', concurrency: 10, signal: gone.signal },
      onSent: () => {
        acknowledged++;
        if (acknowledged === 300) {
          kafka.hold('send-answer');
          kafka.hold('commit-answer');
          kafka.hold('close');
        }
      },
    });
    first.catch(() => {});
    while (acknowledged < 300) await kafka.clock.advance(20);
    await kafka.clock.advance(500);
    const committed = [...kafka.committed(GROUP, 'dead').values()].reduce((sum, offset) => sum + offset, 0);
    expect(committed).toBeGreaterThan(0);
    const written = kafka.records('orders').length;
    // What a commit covers, and what is being written beside it.
    expect(written - committed).toBeLessThanOrEqual(100 + 10);
    // Another cluster with the same log stands for the next process.
    const next = cluster(2);
    next.send(
      kafka
        .records('dead')
        .map(({ partition, key, value, headers }) => ({ topic: 'dead', partition, key, value, headers })),
    );
    for (const [partition, offset] of kafka.committed(GROUP, 'dead'))
      next.group(GROUP).setCommitted([{ topic: 'dead', partition, offset }]);
    await run(next);
    const all = [...values(kafka.records('orders')), ...values(next.records('orders'))];
    expect(new Set(all)).toEqual(new Set(numbers(1_000)));
    expect(all.length - 1_000).toBeLessThanOrEqual(written - committed);
  });

  it('drains what is being written at a signal, commits it, and starts nothing more', async () => {
    const kafka = cluster(2);
    kafka.send(numbers(1_000).map((value) => deadLetter(value, Number(value) % 2)));
    const stop = new AbortController();
    let sent = 0;
    const onSent = (): void => {
      sent++;
      if (sent === 100) stop.abort();
    };
    const summary = await run(kafka, { signal: stop.signal, concurrency: 10, onSent });
    expect(summary).toMatchObject({ endedBy: 'signal' });
    expect(summary.sent).toBeLessThan(200);
    const written = kafka.records('orders').length;
    expect([written, 1_000 - summary.left]).toEqual([summary.sent, summary.sent]);
    await run(kafka);
    expect(sorted(values(kafka.records('orders')))).toEqual(numbers(1_000));
  });

  it('does nothing when the signal is aborted already, or while it connects', async () => {
    const kafka = cluster();
    kafka.send([deadLetter('1')]);
    expect(await run(kafka, { signal: AbortSignal.abort() })).toMatchObject({ sent: 0, endedBy: 'signal' });
    const stop = new AbortController();
    kafka.outage();
    kafka.clock.setTimeout(() => stop.abort(), 1_000);
    expect(await run(kafka, { signal: stop.signal })).toMatchObject({ sent: 0, endedBy: 'signal' });
  });

  it('fails when no broker answers, and when commits are refused; nothing is lost', async () => {
    const kafka = cluster();
    kafka.send(numbers(5).map((value) => deadLetter(value)));
    const bringUp = kafka.outage();
    await expect(run(kafka, { connectTimeoutMs: 2_000 })).rejects.toMatchObject({ code: 'CONNECTION' });
    bringUp();
    kafka.failCommits(1, { kafkaCode: 30, retriable: false });
    await expect(run(kafka)).rejects.toMatchObject({ code: 'COMMIT' });
    await run(kafka);
    expect(new Set(values(kafka.records('orders')))).toEqual(new Set(numbers(5)));
  });

  it('goes on after an outage in the middle', async () => {
    const kafka = cluster();
    kafka.send(numbers(200).map((value) => deadLetter(value)));
    let sent = 0;
    const onSent = (): void => {
      sent++;
      if (sent === 50) {
        const bringUp = kafka.outage();
        kafka.clock.setTimeout(bringUp, 5_000);
      }
    };
    expect(await run(kafka, { onSent })).toMatchObject({ sent: 200, endedBy: 'end' });
    expect(sorted(values(kafka.records('orders')))).toEqual(numbers(200));
  });
});

describe('two redrives of one group', () => {
  it('share the partitions, both end when all is done, and nothing is lost or sent twice', async () => {
    const kafka = cluster(4);
    kafka.send(numbers(400).map((value) => deadLetter(value, Number(value) % 4)));
    const both = await together(kafka, {}, {});
    expect(both.map(({ endedBy, left }) => [endedBy, left])).toEqual([
      ['end', 0],
      ['end', 0],
    ]);
    expect(both.every(({ sent }) => sent > 0)).toBe(true);
    expect(sorted(values(kafka.records('orders')))).toEqual(numbers(400));
  });

  it('take over what the other leaves at its limit', async () => {
    const kafka = cluster(4);
    kafka.send(numbers(400).map((value) => deadLetter(value, Number(value) % 4)));
    const [limited, other] = await together(kafka, { limit: 20 }, {});
    expect([limited?.endedBy, limited?.sent, other?.endedBy]).toEqual(['limit', 20, 'end']);
    expect(sorted(values(kafka.records('orders')))).toEqual(numbers(400));
  });

  /** At 50 a second, so that there is time to share. */
  async function together(
    kafka: FakeKafka,
    ...options: readonly Partial<RedriveOptions>[]
  ): Promise<readonly RedriveSummary[]> {
    const common = { kafka, clock: kafka.clock, logger: quiet, from: 'dead', perSecond: 50 };
    const result = await settled(kafka, Promise.all(options.map((own) => redrive({ ...common, ...own }))));
    if (result instanceof Error) throw result;
    return result;
  }
});
