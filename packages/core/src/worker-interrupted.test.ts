import { describe, expect, it } from '@jest/globals';
import type { ConcurrencyStrategy } from './concurrency.ts';
import type { Delivery, DeliverySession } from './delivery.ts';
import type { Decision, FailurePolicy } from './failure.ts';
import type { Handler } from './handler.ts';
import { HandlerError } from './handler-errors.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import { retryPolicy } from './retry-policy.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions, WorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const policy = (decision: Decision): FailurePolicy => ({ kind: 'failure', name: 'given', decide: () => decision });
const skip = policy({ do: 'skip' });
const stop = policy({ do: 'stop' });
const serial: ConcurrencyStrategy = {
  ...{ kind: 'concurrency', name: 'serial' },
  lanes: { by: 'all', active: 1, inside: { width: 1 } },
};
const p = (partition: number) => ({ topic: 't', partition });

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

function put(kafka: FakeKafka, partition: number, values: readonly string[]): void {
  kafka.send(values.map((value) => ({ topic: 't', partition, value })));
}

function clusterWith(...partitions: readonly (readonly string[])[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: partitions.length } } });
  for (const [partition, values] of partitions.entries()) put(kafka, partition, values);
  return kafka;
}

function workerOn(kafka: FakeKafka, handler: Handler<Buffer | null, Buffer | null, object>, rest: Rest = {}): Worker {
  return new Worker({ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, handler, ...rest });
}

/** Rejects when the signal is aborted, as fetch does. */
const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

/** Commits as Kafka does, but takes its time. */
const slowly = (kafka: FakeKafka, ms: number): Delivery => ({
  ...{ kind: 'delivery', name: 'slow' },
  open: ({ consumer }) =>
    Promise.resolve({
      commit: async ({ partitions }) => {
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, ms));
        await consumer.commit(partitions);
      },
      close: () => Promise.resolve(),
    }),
});

describe('a handler that heeds its aborted signal', () => {
  it.each([
    ['skip', skip],
    ['stop', stop],
  ])('leaves its record to the next owner at a forced stop, whatever the policy: %s', async (_name, onFailure) => {
    const kafka = clusterWith(['a']);
    const worker = workerOn(kafka, (_record, { signal }) => untilAborted(signal), { onFailure });
    await worker.start();
    await kafka.clock.advance(10);
    const stopping = worker.stop({ timeoutMs: 1_000 });
    await kafka.clock.advance(60_000);
    expect(await stopping).toMatchObject({ failed: 0, left: [{ offset: 0 }], error: { code: 'SHUTDOWN_TIMEOUT' } });
    expect(kafka.committed('g', 't').get(0)).toBe(0);
  });

  it.each([
    ['skip', skip],
    ['stop', stop],
    ['retry', retryPolicy({ maxAttempts: 1, then: stop })],
  ])('leaves its record to the next owner at a revoke, whatever the policy: %s', async (_name, onFailure) => {
    const kafka = clusterWith(['a'], ['x']);
    const worker = workerOn(
      kafka,
      (record, { signal }) => (String(record.value) === 'a' ? untilAborted(signal) : undefined),
      { onFailure, revokeDrainMs: 1_000 },
    );
    await worker.start();
    await kafka.clock.advance(10);
    kafka.group('g').revoke([p(0)]);
    await kafka.clock.advance(20_000);
    expect(kafka.group('g').assignment()).toEqual([p(1)]);
    expect(kafka.committed('g', 't').get(0)).toBe(0);
    expect(worker.state).toBe('running');
    await worker.stop();
  });

  it.each(['lose', 'seek'] as const)(
    'gets the records of other partitions in its batch again, after %s',
    async (how) => {
      const kafka = clusterWith(['a'], ['x']);
      const calls: string[] = [];
      const options: WorkerOptions = {
        ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
        ...{ concurrency: serial, onFailure: skip },
        batchHandler: (records, { signal, attempt }) => {
          calls.push(records.map(({ value }) => `${value}${attempt}`).join());
          return calls.length === 1 ? untilAborted(signal) : undefined;
        },
      };
      const worker = new Worker(options);
      await worker.start();
      await kafka.clock.advance(10);
      if (how === 'lose') kafka.group('g').lose([p(0)]);
      else await worker.seek(p(0), 1);
      await kafka.clock.advance(5_000);
      expect(calls).toEqual(['a1,x1', 'x1']);
      expect(await worker.stop()).toMatchObject({ handled: 1, failed: 0 });
      expect(kafka.committed('g', 't').get(1)).toBe(1);
    },
  );
});

describe('commits under steady traffic', () => {
  it('do not keep a revoked partition from its last commit and its release', async () => {
    const kafka = clusterWith([], []);
    const worker = workerOn(kafka, () => {}, { delivery: slowly(kafka, 30), commit: { everyRecords: 1 } });
    await worker.start();
    await kafka.clock.advance(300);
    for (let i = 0; i < 30; i++) {
      put(kafka, 0, ['v']);
      put(kafka, 1, ['w']);
      await kafka.clock.advance(10);
    }
    kafka.group('g').revoke([p(0)]);
    for (let i = 0; i < 100; i++) {
      put(kafka, 1, ['w']);
      await kafka.clock.advance(10);
    }
    expect(kafka.group('g').assignment()).toEqual([p(1)]);
    expect(kafka.committed('g', 't').get(0)).toBe(30);
    const stopping = worker.stop();
    await kafka.clock.advance(10_000);
    await stopping;
  });

  it('do not keep a new partition from its start', async () => {
    const kafka = clusterWith([], []);
    const worker = workerOn(kafka, () => {}, { delivery: slowly(kafka, 30), commit: { everyRecords: 1 } });
    await worker.start();
    await kafka.clock.advance(300);
    kafka.group('g').revoke([p(1)]);
    await kafka.clock.advance(300);
    kafka.group('g').forget(p(1));
    kafka.group('g').assign([p(1)]);
    for (let i = 0; i < 100; i++) {
      put(kafka, 0, ['v']);
      await kafka.clock.advance(10);
    }
    expect(worker.status().partitions).toHaveLength(2);
    const stopping = worker.stop();
    await kafka.clock.advance(10_000);
    await stopping;
  });

  it('come every everyMs, and not with each record of a handler that returns at once', async () => {
    const kafka = clusterWith([]);
    let commits = 0;
    const worker = workerOn(kafka, () => {}, { commit: { everyMs: 60_000 } });
    worker.on('committed', () => commits++);
    await worker.start();
    for (let i = 0; i < 100; i++) {
      put(kafka, 0, ['v']);
      await kafka.clock.advance(20);
    }
    expect(commits).toBe(0);
    await kafka.clock.advance(200);
    expect(commits).toBe(1);
    await worker.stop();
  });
});

describe('nothing is lost by', () => {
  it('a retry that is due, but has no slot when its partition is revoked', async () => {
    const kafka = clusterWith(['a'], ['x']);
    const calls: string[] = [];
    let end = (): void => {};
    const worker = workerOn(
      kafka,
      (record, { attempt }) => {
        calls.push(`${record.value}${attempt}`);
        if (String(record.value) === 'a') throw new Error('no');
        return new Promise<void>((resolve) => {
          end = resolve;
        });
      },
      {
        onFailure: retryPolicy({ then: stop, backoff: { initialMs: 100, jitter: 0 } }),
        concurrency: {
          ...{ kind: 'concurrency', name: 'one partition at a time' },
          lanes: { by: 'partition', active: 1, inside: { width: 1 } },
        },
      },
    );
    await worker.start();
    await kafka.clock.advance(1_000);
    kafka.group('g').revoke([p(0)]);
    await kafka.clock.advance(1_000);
    expect(kafka.group('g').assignment()).toEqual([p(1)]);
    end();
    await kafka.clock.advance(1_000);
    expect(calls).toEqual(['a1', 'x1']);
    await worker.stop();
  });

  it.each([
    ['an unknown decision', { do: 'bury' }],
    ['no decision', undefined],
    ['a retry at no time', { do: 'retry', afterMs: Number.NaN }],
  ])('%s of a policy: it counts as stop', async (_name, decision) => {
    const kafka = clusterWith(['a']);
    const worker = workerOn(kafka, () => Promise.reject(new Error('no')), { onFailure: policy(decision as Decision) });
    const finished = expect(worker.finished).rejects.toThrow(HandlerError);
    await worker.start();
    await kafka.clock.advance(5_000);
    await finished;
    expect(kafka.committed('g', 't').get(0)).toBe(0);
  });

  it('a topic that is deleted while its partitions are being assigned: the others go on', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 }, u: { partitions: 1 } } });
    put(kafka, 0, ['a']);
    const seen: string[] = [];
    const hold = kafka.hold('offsets-for');
    const worker = workerOn(kafka, ({ value }) => void seen.push(String(value)), { topics: /^[tu]$/ });
    await worker.start();
    await hold.arrived();
    kafka.deleteTopic('u');
    hold.release();
    await kafka.clock.advance(60_000);
    expect(seen).toEqual(['a']);
    await worker.stop();
  });

  it('a seek to where the log has nothing: it is refused, and nothing changes', async () => {
    const kafka = clusterWith(['a', 'b']);
    const worker = workerOn(kafka, () => {});
    await worker.start();
    await kafka.clock.advance(2_000);
    await expect(worker.seek(p(0), 999)).rejects.toThrow(OffsetOutOfRangeError);
    await kafka.clock.advance(2_000);
    expect(kafka.committed('g', 't').get(0)).toBe(2);
    await worker.stop();
  });
});

describe('a stop', () => {
  it('says so when a handler fails for good meanwhile', async () => {
    const kafka = clusterWith(['a']);
    let fail = (): void => {};
    const handler = (): Promise<void> =>
      new Promise((_resolve, reject) => {
        fail = () => reject(new Error('no'));
      });
    const worker = workerOn(kafka, handler, { onFailure: stop });
    await worker.start();
    await kafka.clock.advance(10);
    const stopping = worker.stop();
    fail();
    expect(await stopping).toMatchObject({ state: 'failed', error: { code: 'HANDLER' } });
  });

  it.each(['plugin', 'delivery'] as const)(
    'does not wait for ever for a %s that hangs while it starts',
    async (which) => {
      const kafka = clusterWith(['a']);
      const hang = (): Promise<never> => new Promise(() => {});
      const delivery: Delivery = { kind: 'delivery', name: 'hangs', open: hang };
      const rest: Rest = which === 'plugin' ? { plugins: [{ name: 'hangs', start: hang }] } : { delivery };
      const worker = workerOn(kafka, () => {}, rest);
      worker.start().catch(() => {});
      await kafka.clock.advance(10);
      const stopping = worker.stop({ timeoutMs: 1_000 });
      await kafka.clock.advance(30_000);
      expect((await stopping).state).toMatch(/stopped|failed/);
    },
  );

  it('closes what a delivery opens when nobody waits for it any longer, and begins nothing with it', async () => {
    const kafka = clusterWith(['a']);
    const calls: string[] = [];
    let opened = (_session: DeliverySession): void => {};
    const delivery: Delivery = {
      ...{ kind: 'delivery', name: 'late' },
      open: () =>
        new Promise((resolve) => {
          opened = resolve;
        }),
    };
    const worker = workerOn(kafka, () => void calls.push('handled'), { delivery });
    const starting = worker.start().catch((error: unknown) => void calls.push(String(error)));
    await kafka.clock.advance(10);
    const stopping = worker.stop({ timeoutMs: 1_000 });
    await kafka.clock.advance(30_000);
    await stopping;
    opened({ commit: () => Promise.resolve(), close: () => Promise.resolve(void calls.push('closed')) });
    await kafka.clock.advance(30_000);
    await starting;
    expect(calls).toEqual(['closed', 'IllegalStateError: the worker was stopped while its delivery opened']);
    expect([kafka.group('g').size, kafka.clock.pendingTimers]).toEqual([0, 0]);
  });

  it('has gone well when its last commit is refused for seconds, and done in the end', async () => {
    const kafka = clusterWith(['a']);
    const refused: unknown[] = [];
    const worker = workerOn(kafka, () => {});
    worker.on('commit-failed', ({ error }) => void refused.push(error));
    await worker.start();
    await kafka.clock.advance(10);
    kafka.failCommits(8, { kafkaCode: 14, retriable: true });
    const stopping = worker.stop();
    await kafka.clock.advance(30_000);
    expect([await stopping, kafka.committed('g', 't').get(0), refused.length]).toEqual([
      { state: 'stopped', handled: 1, failed: 0, left: [] },
      1,
      8,
    ]);
  });

  it('can be asked for by whoever hears that it has begun', async () => {
    const kafka = clusterWith(['a']);
    const worker = workerOn(kafka, () => {});
    let inner: Promise<unknown> | undefined;
    worker.on('state', ({ to }) => {
      if (to === 'draining') inner = worker.stop();
    });
    await worker.start();
    const summary = await worker.stop();
    expect(await inner).toBe(summary);
  });

  it('that is asked for by whoever hears that it starts waits for what has begun by then', async () => {
    const kafka = clusterWith(['a']);
    const steps: string[] = [];
    const slow = {
      name: 'slow',
      start: async () => {
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 1_000));
        steps.push('started');
      },
      stop: async () => void steps.push('stopped'),
    };
    const worker = workerOn(kafka, () => void steps.push('handled'), { plugins: [slow] });
    worker.on('state', ({ to }) => {
      if (to === 'starting') void worker.stop();
    });
    const starting = expect(worker.start()).rejects.toThrow('the worker was stopped');
    await kafka.clock.advance(10_000);
    await starting;
    expect([steps, worker.state, kafka.clock.pendingTimers]).toEqual([['started', 'stopped'], 'stopped', 0]);
  });

  it('hands over in drain mode what waits for its batch to fill', async () => {
    const kafka = clusterWith(['a']);
    const batches: number[] = [];
    const options: WorkerOptions = {
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      batch: { maxWaitMs: 60_000 },
      batchHandler: (records) => void batches.push(records.length),
    };
    const worker = new Worker(options);
    await worker.start();
    await kafka.clock.advance(10);
    expect(await worker.stop({ mode: 'drain' })).toMatchObject({ state: 'stopped', handled: 1, left: [] });
    expect(batches).toEqual([1]);
    expect(kafka.clock.pendingTimers).toBe(0);
  });
});
