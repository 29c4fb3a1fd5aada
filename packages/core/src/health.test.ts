import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { Delivery } from './delivery.ts';
import type { KafkaCluster, Poll } from './kafka-client.ts';
import { Lanes } from './lanes.ts';
import { retryPolicy } from './retry-policy.ts';
import { fakeKafka } from './testing/fake-kafka.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';
import { TurnTaking } from './turn-taking.ts';
import { Worker } from './worker.ts';
import type { WorkerHealth } from './worker-status.ts';

const STALL_MS = 60_000;
const skip = always({ do: 'skip' });

afterEach(() => {
  jest.restoreAllMocks();
});

/** As `atMostOnce()`. */
const commitsFirst: Delivery = {
  kind: 'delivery',
  name: 'commits first',
  commitsReceived: true,
  open: ({ consumer }) =>
    Promise.resolve({
      received: (_records, next) => consumer.commit(next),
      commit: ({ partitions }) => consumer.commit(partitions),
      close: () => Promise.resolve(),
    }),
};

const closable = { close: () => Promise.resolve() };
const never = (): Promise<never> => new Promise(() => {});

/** What its worker says of itself, now. */
function healthOf(stage: Stage): { live: boolean; reasons: string } {
  const { live, reasons } = stage.worker.health();
  return { live, reasons: reasons.join('\n') };
}

/** A cluster whose clients stop delivering records of a partition, and say nothing about it. */
function silentFrom(isSilent: (partition: number) => boolean, cluster: KafkaCluster): KafkaCluster {
  const isHeard = ({ partition }: { readonly partition: number }): boolean => !isSilent(partition);
  return {
    ...cluster,
    consumer(options) {
      const consumer = cluster.consumer(options);
      const poll = consumer.poll.bind(consumer);
      consumer.poll = async (...given): Promise<Poll> => {
        const polled = await poll(...given);
        return { ...polled, records: polled.records.filter(isHeard), positions: polled.positions.filter(isHeard) };
      };
      return consumer;
    },
  };
}

describe('a worker is not live', () => {
  it('when a partition has more to read and room for it, and nothing comes', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
    const silent = new Set<number>();
    const { clock } = kafka;
    const cluster = silentFrom((partition) => silent.has(partition), kafka);
    const worker = new Worker({ ...{ kafka: cluster, clock, groupId: 'g', topics: 't' }, handler: () => {} });
    const send = (): void => void kafka.send([0, 1].map((partition) => ({ topic: 't', partition, value: 'a' })));
    send();
    await worker.start();
    await clock.advance(2 * STALL_MS);
    expect(worker.health()).toEqual({ live: true, ready: true, reasons: [] });
    silent.add(1);
    for (let minute = 0; minute < 2; minute++) {
      send();
      await clock.advance(STALL_MS / 2);
      expect(worker.health().live).toBe(true);
    }
    for (let i = 0; i < 4; i++) {
      send();
      await clock.advance(STALL_MS / 4);
    }
    expect(worker.health().live).toBe(false);
    expect(worker.health().reasons.join()).toMatch(
      /^t\/1: nothing has been read for \d+ s at offset 1, although there is more to read and room for it$/,
    );
    silent.clear();
    send();
    await clock.advance(10_000);
    expect(worker.health()).toEqual({ live: true, ready: true, reasons: [] });
    await worker.stop();
  });

  it('when its loop does not turn', async () => {
    const stage = new Stage([['a']]);
    await stage.start();
    const hold = stage.kafka.hold('poll');
    await stage.advance(STALL_MS - 2_000);
    expect(healthOf(stage).live).toBe(true);
    await stage.advance(5_000);
    expect(healthOf(stage)).toMatchObject({ live: false, reasons: expect.stringContaining('the loop does not turn') });
    hold.release();
    await stage.advance(2_000);
    expect(healthOf(stage)).toEqual({ live: true, reasons: '' });
    await stage.end();
  });

  it('when records could be started and are not', async () => {
    const stage = new Stage([['a', 'b']]);
    jest.spyOn(Lanes.prototype, 'start').mockReturnValue(undefined);
    await stage.start();
    await stage.advance(STALL_MS - 6_000);
    expect(healthOf(stage).live).toBe(true);
    await stage.advance(12_000);
    expect(healthOf(stage)).toMatchObject({
      live: false,
      reasons: expect.stringMatching(/t\/0: none of its 2 records has been started for \d+ s, from offset 0 on/),
    });
    jest.restoreAllMocks();
    await stage.end();
  });

  const reasonsElsewhere: readonly {
    readonly why: string;
    readonly options: StageOptions;
    readonly holds?: boolean;
  }[] = [
    {
      why: 'waits for a retry',
      options: {
        onFailure: retryPolicy({ maxAttempts: 5, then: skip, backoff: { initialMs: 1e6, maxMs: 1e6, jitter: 0 } }),
      },
    },
    { why: 'is frozen', options: { onFailure: always({ do: 'freeze', scope: 'partition' }) } },
    {
      why: 'waits for its dead letter',
      options: { onFailure: always({ do: 'dead-letter', topic: 'dead', brake: false }) },
    },
    { why: 'has a handler that takes hours', options: {}, holds: true },
  ];

  it.each(reasonsElsewhere)(
    'when records of one partition could be started and are not, also while another one $why',
    async ({ options, holds = false }) => {
      const stage = new Stage([['a', 'b'], []], options);
      if (holds) stage.hold('0@0');
      else stage.fail('0@0');
      stage.kafka.failSends(1_000);
      await stage.start();
      await stage.advance(100);
      // What is queued from now on is never found again.
      jest.spyOn(TurnTaking.prototype, 'listUpwards').mockReturnValue(undefined);
      stage.send(1, ['c', 'd']);
      await stage.advance(STALL_MS - 6_000);
      expect(healthOf(stage).live).toBe(true);
      await stage.advance(18_000);
      expect(healthOf(stage)).toMatchObject({
        live: false,
        reasons: expect.stringMatching(/^t\/1: none of its 2 records has been started for \d+ s, from offset 0 on/m),
      });
      expect(healthOf(stage).reasons).not.toMatch(/t\/0: none of its/);
      jest.restoreAllMocks();
      await stage.end();
    },
  );

  it('when a record that was polled is nowhere any more', async () => {
    const stage = new Stage([['a'], []]);
    stage.hold('0@0');
    await stage.start();
    jest.spyOn(Lanes.prototype, 'add').mockReturnValue({ isFrozen: false } as never);
    stage.send(1, ['b']);
    await stage.advance(STALL_MS + 12_000);
    expect(healthOf(stage)).toMatchObject({
      live: false,
      reasons: expect.stringContaining('t/1: none of its 1 records'),
    });
    jest.restoreAllMocks();
    await stage.end();
  });

  it('when a handler of a partition that is gone ignores its signal, unless that was accepted', async () => {
    for (const onStuckHandler of ['fail', 'release'] as const) {
      const stage = new Stage([['a'], ['b']], { stuckAfterMs: 5_000, onStuckHandler });
      stage.hold('0@0');
      await stage.start();
      stage.kafka.group('g').lose([at(0)]);
      await stage.advance(4_000);
      expect(healthOf(stage)).toMatchObject({
        live: true,
        reasons: expect.stringContaining('has not returned for 4 s'),
      });
      await stage.advance(2_000);
      expect(healthOf(stage)).toMatchObject({
        live: onStuckHandler === 'release',
        reasons: expect.stringContaining('has not returned for 6 s'),
      });
      await stage.end();
    }
  });

  it('when it has failed', async () => {
    const stage = new Stage([['a']], { onFailure: always({ do: 'stop' }) });
    stage.fail('0@0');
    await stage.start();
    await stage.advance(10_000);
    expect(stage.worker.health()).toEqual({ live: false, ready: false, reasons: ['ended because of an error'] });
  });
});

describe('many records that wait for the same', () => {
  it('are not told one by one: ten of them are, and how many more there are', async () => {
    const keys = Array.from({ length: 1_000 }, (_, i) => `key-${i}`);
    const stage = new Stage([keys], {
      concurrency: laneStrategy(lanes.perKey),
      onFailure: retryPolicy({ maxAttempts: 5, then: skip, backoff: { initialMs: 1e6, maxMs: 1e6, jitter: 0 } }),
    });
    for (const offset of keys.keys()) stage.fail(`0@${offset}`);
    await stage.start();
    await stage.advance(20_000);
    const waiting = stage.worker.health().reasons.filter((reason) => reason.includes('wait'));
    expect(waiting.slice(0, 10)).toEqual(
      Array.from({ length: 10 }, (_, i) => expect.stringMatching(`^t/0: offset ${i} waits \\d+ ms for attempt 2$`)),
    );
    expect(waiting.slice(10)).toEqual(['990 more handler calls wait to be made again']);
    await stage.end();
  });
});

describe('a worker is live, and says why it waits, however long', () => {
  const waiting: readonly {
    readonly why: string;
    readonly keys?: readonly (readonly string[])[];
    readonly options: StageOptions;
    readonly before?: (stage: Stage) => void;
    readonly after?: (stage: Stage) => void;
    readonly says: RegExp;
  }[] = [
    {
      why: 'for a retry',
      options: {
        onFailure: retryPolicy({ maxAttempts: 5, then: skip, backoff: { initialMs: 1e6, maxMs: 1e6, jitter: 0 } }),
      },
      before: (stage) => stage.fail('0@0'),
      says: /t\/0 has not moved for 1\d\d s: offset 0 \(key 'a'\) is in attempt 2 of 5\nt\/0: offset 0 waits \d+ ms for attempt 2/,
    },
    {
      why: 'for a handler that takes hours',
      options: {},
      before: (stage) => stage.hold('0@0'),
      says: /^t\/0 has not moved for 1\d\d s: offset 0 \(key 'a'\) is in attempt 1 of 5$/,
    },
    {
      why: 'behind a record of another partition',
      options: { concurrency: laneStrategy(lanes.serial) },
      before: (stage) => stage.hold('0@0'),
      says: /t\/1 has not moved for 1\d\d s: offset 0 waits behind t\/0 offset 0, which \(key 'a'\) is in attempt 1 of 5/,
    },
    {
      why: 'for a concurrency slot',
      options: {
        concurrency: laneStrategy({
          by: 'partition',
          active: 1,
          inside: { width: 1 },
          turn: { maxRecords: 1e6, maxMs: 1e9 },
        }),
      },
      before: (stage) => stage.hold('0@0'),
      says: /t\/1 has not moved for 1\d\d s: offset 0 waits for a concurrency slot, or for its turn/,
    },
    {
      why: 'for its next turn, while another call of its last one runs',
      options: {
        concurrency: laneStrategy({
          by: 'partition',
          active: 1,
          inside: { by: 'key', active: 2, inside: { width: 1 } },
          turn: { maxRecords: 1, maxMs: 1 },
        }),
      },
      before: (stage) => stage.hold('0@0'),
      says: /t\/1 has not moved for 1\d\d s: offset 0 waits for a concurrency slot, or for its turn/,
    },
    {
      why: 'for a rate',
      options: { concurrency: laneStrategy({ ...lanes.parallel, startsPerSecond: 0.001 }) },
      says: /has not moved for 1\d\d s: offset \d waits for a concurrency slot, or for its turn/,
    },
    {
      why: 'frozen',
      options: { onFailure: always({ do: 'freeze', scope: 'partition' }) },
      before: (stage) => stage.fail('0@0'),
      says: /^t\/0 has been frozen at offset 0 for 1\d\d s: 0@0 fails$/,
    },
    {
      why: 'for a frozen key',
      options: {
        concurrency: laneStrategy(lanes.perKey),
        onFailure: retryPolicy({
          maxAttempts: 2,
          then: always({ do: 'freeze', scope: 'key' }),
          backoff: { initialMs: 1, maxMs: 1, jitter: 0 },
        }),
      },
      before: (stage) => stage.fail('0@0'),
      says: /^t\/0 has not moved for 1\d\d s: offset 0 \(key 'a'\) is frozen\nt\/0, key 'a', has been frozen at offset 0/,
    },
    {
      why: 'paused by the user',
      options: {},
      after: (stage) => {
        stage.worker.pause([at(1)]);
        stage.send(1, ['c']);
      },
      says: /^t\/1 is paused$/,
    },
    {
      why: 'for a dead letter that cannot be written',
      options: { onFailure: always({ do: 'dead-letter', topic: 'dead', brake: false }) },
      before: (stage) => {
        stage.fail('0@0');
        stage.kafka.failSends(1_000);
      },
      says: /t\/0: offset 0: its dead letter could not be written to dead for 1\d\d s/,
    },
    {
      why: 'for brokers that are down',
      options: {},
      after: (stage) => {
        stage.send(0, ['c']);
        stage.kafka.outage();
      },
      says: /t\/0: no broker says whether there is more to read: /,
    },
    {
      why: 'for a rebalance',
      options: { revokeDrainMs: 1e6 },
      before: (stage) => stage.hold('0@0'),
      after: (stage) => stage.kafka.group('g').revoke([at(0)]),
      says: /a rebalance is in progress/,
    },
    {
      why: 'with as much in flight as there may be',
      options: { limits: { inFlightRecords: 2 } },
      before: (stage) => stage.hold('0@0', '1@0'),
      after: (stage) => stage.send(0, ['c', 'd', 'e']),
      says: /t\/0 takes no more records|t\/0 has not moved/,
    },
    {
      why: 'for what is polled to be committed, which is refused, under a delivery that commits it first',
      options: {
        delivery: commitsFirst,
      },
      after: (stage) => {
        stage.kafka.failCommits(10_000, { kafkaCode: 14, retriable: true });
        stage.send(0, ['c']);
      },
      says: /^t\/0: what is polled could not be committed for 1\d\d s, and so is not handled$/,
    },
    {
      why: 'for a commit that its delivery does not acknowledge',
      options: { delivery: { ...commitsFirst, open: () => Promise.resolve({ ...closable, commit: never }) } },
      says: /^a commit has not been acknowledged for 1\d\d s: what was finished since waits for it$/m,
    },
    {
      why: 'at the end of its partitions',
      options: {},
      says: /^$/,
    },
  ];

  it.each(waiting)('$why', async ({ keys, options, before, after, says }) => {
    const stage = new Stage(
      keys ?? [
        ['a', 'b'],
        ['c', 'd'],
      ],
      options,
    );
    before?.(stage);
    await stage.start();
    await stage.advance(100);
    after?.(stage);
    for (let i = 0; i < 10; i++) {
      await stage.advance(15_000);
      expect(healthOf(stage)).toMatchObject({ live: true });
    }
    expect(healthOf(stage).reasons).toMatch(says);
    expect(stage.worker.health().ready).toBe(true);
  });
});

it('is live between the slices of short handlers, after a long time with nothing to do', async () => {
  const seen: WorkerHealth[] = [];
  const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
  const { clock } = kafka;
  const worker = new Worker({
    ...{ kafka, clock, groupId: 'g', topics: 't' },
    handler: () => {
      const endsAt = performance.now() + 15;
      while (performance.now() < endsAt);
      // By then the slice is used up.
      queueMicrotask(() => void seen.push(worker.health()));
    },
  });
  await worker.start();
  await clock.advance(2 * STALL_MS);
  kafka.send([0, 1].flatMap((partition) => [1, 2, 3].map(() => ({ topic: 't', partition, value: 'a' }))));
  while (seen.length < 6) await clock.advance(100);
  expect(seen.filter(({ live }) => !live)).toEqual([]);
  await worker.stop();
});

it('says no more of brokers that did not answer for a partition that is not read any more', async () => {
  const stage = new Stage([['a'], ['b']]);
  await stage.start();
  await stage.advance(100);
  const endOutage = stage.kafka.outage();
  await stage.advance(STALL_MS);
  expect(stage.reasons()).toContain('t/0: no broker says whether there is more to read');
  stage.worker.pause([at(0)]);
  await stage.advance(6_000);
  expect(stage.reasons()).toContain('t/0 is paused');
  expect(stage.reasons()).not.toContain('t/0: no broker');
  expect(stage.reasons()).toContain('t/1: no broker');
  endOutage();
  await stage.advance(STALL_MS);
  expect(stage.reasons()).toBe('t/0 is paused');
  await stage.end();
});

it('says no more of what could not be committed when its partition is gone, or when it could', async () => {
  const stage = new Stage([['a'], ['b']], { delivery: commitsFirst });
  await stage.start();
  stage.kafka.failCommits(3, { kafkaCode: 14, retriable: true });
  stage.send(0, ['b']);
  await stage.advance(300);
  expect(stage.reasons()).toContain('t/0: what is polled could not be committed for 0 s');
  await stage.advance(5_000);
  expect([stage.reasons(), stage.handled.length]).toEqual(['', 3]);
  stage.kafka.failCommits(10_000, { kafkaCode: 14, retriable: true });
  stage.send(0, ['c']);
  await stage.advance(5_000);
  expect(stage.reasons()).toContain('could not be committed for 5 s');
  stage.kafka.group('g').lose([at(0)]);
  await stage.advance(5_000);
  expect(stage.reasons()).not.toContain('could not be committed for');
  await stage.end();
});

describe('a worker is ready', () => {
  it('when it polls, and not from the moment on in which it is told to stop', async () => {
    const stage = new Stage([['a']]);
    stage.durations.set('0@0', 5_000);
    await stage.start();
    expect(stage.worker.health()).toMatchObject({ live: true, ready: true });
    const stopping = stage.worker.stop();
    expect(stage.worker.health()).toMatchObject({
      live: true,
      ready: false,
      reasons: [expect.stringContaining('stopping')],
    });
    await stage.advance(10_000);
    await stopping;
    expect(stage.committed()).toBe(1);
  });
});
