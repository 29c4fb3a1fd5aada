import { describe, expect, it } from '@jest/globals';
import { json, string } from './deserializer.ts';
import { IllegalStateError, ShutdownTimeoutError, UnknownTopicError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import type { BatchHandler, Handler } from './handler.ts';
import { DeserializationError, HandlerError, NonRetriableError } from './handler-errors.ts';
import type { KafkaRecord } from './record.ts';
import { retryPolicy } from './retry-policy.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions, WorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const skip: FailurePolicy = { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip' }) };
const stop: FailurePolicy = { kind: 'failure', name: 'stop', decide: () => ({ do: 'stop' }) };
const serial = { kind: 'concurrency', name: 'serial', lanes: { by: 'all', active: 1, inside: { width: 1 } } } as const;
const p = (partition: number) => ({ topic: 't', partition });

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

function clusterWith(records: Readonly<Record<number, readonly string[]>>): FakeKafka {
  const partitions = Object.keys(records).length;
  const kafka = fakeKafka({ topics: { t: { partitions } } });
  for (const [partition, values] of Object.entries(records)) {
    kafka.send(values.map((value) => ({ topic: 't', partition: Number(partition), value })));
  }
  return kafka;
}

function workerOn(kafka: FakeKafka, handler: Handler<Buffer | null, Buffer | null, object>, rest: Rest = {}): Worker {
  return new Worker({ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, handler, ...rest });
}

/** A handler that records what it got and returns when it is told to. */
function heldHandler() {
  const started: string[] = [];
  const release: ((error?: Error) => void)[] = [];
  const handler = (record: KafkaRecord): Promise<void> =>
    new Promise((resolve, reject) => {
      started.push(String(record.value));
      release.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  return { started, release, handler };
}

describe('Worker', () => {
  it('handles every record in order, commits the end, and ends as stopped', async () => {
    const kafka = clusterWith({ 0: ['a', 'b', 'c'] });
    const handled: string[] = [];
    const worker = workerOn(kafka, (record) => void handled.push(String(record.value)));
    await worker.start();
    await kafka.clock.advance(2_000);
    expect(handled).toEqual(['a', 'b', 'c']);
    expect(kafka.committed('g', 't').get(0)).toBe(3);
    const summary = await worker.stop();
    expect(summary).toEqual({ state: 'stopped', handled: 3, failed: 0, left: [] });
    await expect(worker.finished).resolves.toEqual(summary);
    expect(kafka.clock.pendingTimers).toBe(0);
  });

  it('does not commit past a record that is not finished, however many behind it are', async () => {
    const kafka = clusterWith({ 0: ['a', 'b', 'c', 'd'] });
    const held = heldHandler();
    const parallel = {
      kind: 'concurrency',
      name: 'parallel',
      lanes: { by: 'all', active: 1, inside: { width: 10 } },
    } as const;
    const worker = workerOn(kafka, held.handler, { concurrency: parallel });
    await worker.start();
    await kafka.clock.advance(10);
    expect(held.started).toEqual(['a', 'b', 'c', 'd']);
    for (const i of [0, 2, 3]) held.release[i]?.();
    await kafka.clock.advance(5_000);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    expect(worker.status().partitions[0]).toMatchObject({
      nextOffset: 1,
      committedOffset: 1,
      inFlight: 1,
      blockedBy: { offset: 1 },
    });
    held.release[1]?.();
    await kafka.clock.advance(5_000);
    expect(kafka.committed('g', 't').get(0)).toBe(4);
    await worker.stop();
  });

  it('runs partitions at the same time by default, and one record of each', async () => {
    const kafka = clusterWith({ 0: ['a0', 'a1'], 1: ['b0', 'b1'] });
    const held = heldHandler();
    const worker = workerOn(kafka, held.handler);
    await worker.start();
    await kafka.clock.advance(10);
    expect([...held.started].sort()).toEqual(['a0', 'b0']);
    for (const release of held.release) release();
    await kafka.clock.advance(10);
    expect([...held.started].sort()).toEqual(['a0', 'a1', 'b0', 'b1']);
    for (const release of held.release) release();
    await worker.stop();
  });

  it('runs one record of all at a time under serial', async () => {
    const kafka = clusterWith({ 0: ['a0', 'a1'], 1: ['b0', 'b1'] });
    const held = heldHandler();
    const worker = workerOn(kafka, held.handler, { concurrency: serial });
    await worker.start();
    for (let n = 1; n <= 4; n++) {
      await kafka.clock.advance(10);
      expect(held.started).toHaveLength(n);
      held.release[n - 1]?.();
    }
    await worker.stop();
  });

  describe('when the handler fails', () => {
    const failOn =
      (value: string, error: unknown = new Error('no')) =>
      (record: KafkaRecord) => {
        if (String(record.value) === value) throw error;
      };

    it('ends under stop, with the failed record not committed, and a restart delivers it first', async () => {
      const kafka = clusterWith({ 0: ['a', 'b', 'c'] });
      const worker = workerOn(kafka, failOn('b'), { onFailure: stop });
      const finished = expect(worker.finished).rejects.toThrow(HandlerError);
      await worker.start();
      await kafka.clock.advance(2_000);
      await finished;
      expect(worker.state).toBe('failed');
      expect(kafka.committed('g', 't').get(0)).toBe(1);
      const handled: string[] = [];
      const next = workerOn(kafka, (record) => void handled.push(String(record.value)));
      await next.start();
      await kafka.clock.advance(2_000);
      expect(handled).toEqual(['b', 'c']);
      await next.stop();
    });

    it('passes the record under skip, and counts it', async () => {
      const kafka = clusterWith({ 0: ['a', 'b', 'c'] });
      const worker = workerOn(kafka, failOn('b'), { onFailure: skip });
      await worker.start();
      await kafka.clock.advance(2_000);
      expect(kafka.committed('g', 't').get(0)).toBe(3);
      expect(await worker.stop()).toMatchObject({ handled: 2, failed: 1 });
    });

    it.each([
      ['a synchronous throw', 'throw'],
      ['a rejection', 'reject'],
      ['a thenable that throws', 'thenable'],
    ])('takes %s of something that is no Error as a failure', async (_name, how) => {
      const kafka = clusterWith({ 0: ['a'] });
      const errors: unknown[] = [];
      const worker = workerOn(
        kafka,
        () => {
          if (how === 'throw') throw 'text';
          if (how === 'reject') return Promise.reject('text');
          return {
            then: () => {
              throw 'text';
            },
          };
        },
        { onFailure: stop },
      );
      worker.on('failed', ({ error }) => errors.push(error));
      worker.finished.catch(() => {});
      await worker.start();
      await kafka.clock.advance(10);
      expect(errors).toEqual(['text']);
      const summary = await worker.stop();
      expect(summary.error?.message).toContain('text');
    });

    it('repeats it in place under retry, holding up its own lane only, and goes on when it succeeds', async () => {
      const kafka = clusterWith({ 0: ['a', 'b'], 1: ['x', 'y'] });
      const calls: string[] = [];
      const worker = workerOn(
        kafka,
        (record, { attempt }) => {
          calls.push(`${record.value}${attempt}`);
          if (String(record.value) === 'a' && attempt < 3) throw new Error('not yet');
        },
        { onFailure: retryPolicy({ then: stop, backoff: { initialMs: 1_000, jitter: 0 } }) },
      );
      await worker.start();
      await kafka.clock.advance(10);
      expect([...calls].sort()).toEqual(['a1', 'x1', 'y1']);
      expect(worker.health().reasons.join()).toMatch(/t\/0: offset 0 waits \d+ ms for attempt 2/);
      await kafka.clock.advance(1_000);
      expect(calls.slice(3)).toEqual(['a2']);
      await kafka.clock.advance(2_000);
      expect(calls.slice(4)).toEqual(['a3', 'b1']);
      expect(await worker.stop()).toMatchObject({ handled: 4, failed: 0 });
      expect(kafka.committed('g', 't').get(0)).toBe(2);
    });

    it('does what comes then after the last attempt, and at once for an error that no attempt mends', async () => {
      const kafka = clusterWith({ 0: ['a', 'b'] });
      const attempts: string[] = [];
      const worker = workerOn(
        kafka,
        (record, { attempt }) => {
          attempts.push(`${record.value}${attempt}`);
          throw String(record.value) === 'a' ? new Error('no') : new NonRetriableError('never');
        },
        { onFailure: retryPolicy({ maxAttempts: 3, then: skip }) },
      );
      await worker.start();
      await kafka.clock.advance(10_000);
      expect(attempts).toEqual(['a1', 'a2', 'a3', 'b1']);
      expect(await worker.stop()).toMatchObject({ handled: 0, failed: 2 });
    });

    it('leaves a record that waits for a retry when it is stopped, and does not wait for it', async () => {
      const kafka = clusterWith({ 0: ['a', 'b'] });
      const worker = workerOn(kafka, () => Promise.reject(new Error('no')), {
        onFailure: retryPolicy({ then: stop, backoff: { initialMs: 20_000 } }),
      });
      await worker.start();
      await kafka.clock.advance(10);
      const summary = await worker.stop({ mode: 'drain' });
      expect(summary).toMatchObject({ state: 'stopped', left: [{ topic: 't', partition: 0, offset: 0 }] });
    });

    it('takes the policy itself throwing as stop', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const broken: FailurePolicy = {
        kind: 'failure',
        name: 'broken',
        decide: () => {
          throw new Error('policy');
        },
      };
      const worker = workerOn(kafka, failOn('a'), { onFailure: broken });
      const finished = expect(worker.finished).rejects.toThrow(HandlerError);
      await worker.start();
      await kafka.clock.advance(10);
      await finished;
    });
  });

  describe('stop', () => {
    it('waits for running handlers, starts no further, and commits what they finished', async () => {
      const kafka = clusterWith({ 0: ['a', 'b'] });
      const held = heldHandler();
      const worker = workerOn(kafka, held.handler);
      await worker.start();
      await kafka.clock.advance(10);
      const stopping = worker.stop();
      await kafka.clock.advance(1_000);
      expect(worker.state).toBe('draining');
      held.release[0]?.();
      const summary = await stopping;
      expect(held.started).toEqual(['a']);
      expect(summary).toMatchObject({ state: 'stopped', handled: 1, left: [{ topic: 't', partition: 0, offset: 1 }] });
      expect(kafka.committed('g', 't').get(0)).toBe(1);
    });

    it('handles what was polled in drain mode', async () => {
      const kafka = clusterWith({ 0: ['a', 'b', 'c'] });
      const worker = workerOn(kafka, () => new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 10)));
      await worker.start();
      await kafka.clock.advance(5);
      const stopping = worker.stop({ mode: 'drain' });
      await kafka.clock.advance(1_000);
      expect(await stopping).toMatchObject({ handled: 3, left: [] });
    });

    it('aborts signals at the deadline, still commits what is finished, and says what was left', async () => {
      const kafka = clusterWith({ 0: ['a', 'b'], 1: ['x'] });
      const reasons: unknown[] = [];
      const worker = workerOn(kafka, (record, { signal }) => {
        if (String(record.value) === 'x') return undefined;
        return new Promise(() => signal.addEventListener('abort', () => reasons.push(signal.reason)));
      });
      await worker.start();
      await kafka.clock.advance(10);
      const stopping = worker.stop({ timeoutMs: 3_000 });
      await kafka.clock.advance(60_000);
      const summary = await stopping;
      expect(reasons[0]).toBeInstanceOf(ShutdownTimeoutError);
      expect(summary.state).toBe('failed');
      expect(summary.error).toBeInstanceOf(ShutdownTimeoutError);
      expect(summary.left).toEqual([{ topic: 't', partition: 0, offset: 0 }]);
      expect(kafka.committed('g', 't')).toEqual(
        new Map([
          [0, 0],
          [1, 1],
        ]),
      );
      await expect(worker.finished).rejects.toBe(summary.error);
    });

    it('keeps the partition of a handler that ignores its signal until it returns, and commits what it has finished then', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const held = heldHandler();
      const worker = workerOn(kafka, held.handler);
      await worker.start();
      await kafka.clock.advance(10);
      const stopping = worker.stop({ timeoutMs: 1 });
      await kafka.clock.advance(60_000);
      expect(await stopping).toMatchObject({
        error: { code: 'SHUTDOWN_TIMEOUT' },
        left: [{ partition: 0, offset: 0 }],
      });
      await kafka.clock.advance(600_000);
      expect(kafka.group('g').assignment()).toContainEqual({ topic: 't', partition: 0 });
      held.release[0]?.();
      await kafka.clock.advance(1_000);
      expect(kafka.committed('g', 't').get(0)).toBe(1);
      expect([kafka.group('g').size, kafka.clock.pendingTimers]).toEqual([0, 0]);
    });

    it('gives up the partition of a handler that ignores its signal when the group has given it away', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const worker = workerOn(kafka, heldHandler().handler);
      await worker.start();
      await kafka.clock.advance(10);
      const stopping = worker.stop({ timeoutMs: 1 });
      await kafka.clock.advance(60_000);
      await stopping;
      kafka.group('g').kick();
      await kafka.clock.advance(1_000);
      expect([kafka.group('g').size, kafka.clock.pendingTimers]).toEqual([0, 0]);
    });

    it('gives up the partition of a handler that ignores its signal at once under release, and ignores its late return', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const held = heldHandler();
      const worker = workerOn(kafka, held.handler, { onStuckHandler: 'release' });
      await worker.start();
      await kafka.clock.advance(10);
      const stopping = worker.stop({ timeoutMs: 1 });
      await kafka.clock.advance(60_000);
      await stopping;
      expect(kafka.group('g').size).toBe(0);
      held.release[0]?.();
      await kafka.clock.advance(1_000);
      expect(kafka.committed('g', 't').get(0)).toBe(0);
    });

    it('gives every caller the same promise, also from inside the handler, and resolves for a worker that never started', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      let inside: Promise<unknown> | undefined;
      const worker = workerOn(kafka, () => {
        inside = worker.stop();
      });
      await worker.start();
      await kafka.clock.advance(1_000);
      expect(inside).toBe(worker.stop());
      await inside;
      const idle = workerOn(kafka, () => {});
      expect(await idle.stop()).toEqual({ state: 'stopped', handled: 0, failed: 0, left: [] });
      await expect(idle.start()).rejects.toThrow(IllegalStateError);
    });

    it('ends also when no commit is ever acknowledged', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const worker = workerOn(kafka, () => {});
      await worker.start();
      await kafka.clock.settle();
      const hold = kafka.hold('commit');
      const stopping = worker.stop();
      await kafka.clock.advance(120_000);
      expect((await stopping).state).toMatch(/stopped|failed/);
      hold.release();
    });

    it('is what await using does', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      let state = '';
      {
        await using worker = workerOn(kafka, () => {});
        worker.on('state', ({ to }) => (state = to));
        await worker.start();
      }
      expect(state).toBe('stopped');
    });
  });

  describe('start', () => {
    it('rejects with the topics that do not exist, and commits nothing', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const worker = workerOn(kafka, () => {}, { topics: ['t', 'nope'] });
      const started = expect(worker.start()).rejects.toThrow(UnknownTopicError);
      await kafka.clock.advance(10_000);
      await started;
      expect(worker.state).toBe('failed');
      expect(kafka.committed('g', 't').size).toBe(0);
      await expect(worker.finished).rejects.toThrow(UnknownTopicError);
    });

    it('is undone by its signal, before and after it was through', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const early = workerOn(kafka, () => {});
      await expect(early.start({ signal: AbortSignal.abort() })).rejects.toThrow();
      expect(early.state).toBe('stopped');
      const late = workerOn(kafka, () => {});
      const controller = new AbortController();
      await late.start({ signal: controller.signal });
      controller.abort();
      await kafka.clock.advance(1_000);
      await expect(late.finished).resolves.toMatchObject({ state: 'stopped' });
    });

    it('can be called once', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      const worker = workerOn(kafka, () => {});
      await worker.start();
      await expect(worker.start()).rejects.toThrow(IllegalStateError);
      await worker.stop();
    });
  });

  describe('seek', () => {
    it('goes back and forth, drops what was polled, and commits the new position', async () => {
      const kafka = clusterWith({ 0: ['a', 'b', 'c', 'd'] });
      const handled: string[] = [];
      const worker = workerOn(kafka, (record) => void handled.push(String(record.value)));
      await worker.start();
      await kafka.clock.advance(2_000);
      await worker.seek(p(0), 1);
      await kafka.clock.advance(2_000);
      expect(handled.join('')).toBe('abcdbcd');
      await worker.seek(p(0), 'latest');
      kafka.send([{ topic: 't', partition: 0, value: 'e' }]);
      await kafka.clock.advance(2_000);
      expect(handled.join('')).toBe('abcdbcde');
      expect(kafka.committed('g', 't').get(0)).toBe(5);
      await expect(worker.seek(p(7), 0)).rejects.toThrow(IllegalStateError);
      await worker.stop();
    });

    it('drops the result of a handler that was running', async () => {
      const kafka = clusterWith({ 0: ['a', 'b'] });
      const held = heldHandler();
      const worker = workerOn(kafka, held.handler);
      const restarted: unknown[] = [];
      worker.on('restarted', ({ partitions }) => restarted.push(...partitions));
      await worker.start();
      await kafka.clock.advance(10);
      held.release[0]?.();
      await kafka.clock.advance(10);
      expect(held.started).toEqual(['a', 'b']);
      await worker.seek(p(0), 0);
      expect(restarted).toEqual([p(0)]);
      held.release[1]?.();
      await kafka.clock.advance(10);
      expect(worker.status().partitions[0]).toMatchObject({ nextOffset: 0, inFlight: 2 });
      expect(held.started).toEqual(['a', 'b', 'a']);
      held.release[2]?.();
      await kafka.clock.advance(10);
      held.release[3]?.();
      await kafka.clock.advance(10);
      expect(await worker.stop()).toMatchObject({ left: [] });
    });
  });

  it('commits the end of a partition that ends with offsets that are no records', async () => {
    const kafka = clusterWith({ 0: ['a'] });
    kafka.appendGap(p(0), 3);
    const worker = workerOn(kafka, () => {});
    await worker.start();
    await kafka.clock.advance(5_000);
    expect(kafka.committed('g', 't').get(0)).toBe(4);
    expect(worker.status().partitions[0]?.lag).toBe(0);
    await worker.stop();
  });

  it('decodes on first use, and takes what cannot be decoded as a failure that is not retried', async () => {
    const kafka = clusterWith({ 0: ['{"n":1}', 'broken', '{"n":3}'] });
    const values: number[] = [];
    const failures: unknown[] = [];
    const options: WorkerOptions<{ n: number }, string | null> = {
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      value: json<{ n: number }>(),
      key: string(),
      onFailure: retryPolicy({ then: skip }),
      handler: (record) => void values.push(record.value.n),
    };
    const worker = new Worker(options);
    worker.on('failed', ({ error, attempt }) => failures.push([error instanceof DeserializationError, attempt]));
    await worker.start();
    await kafka.clock.advance(2_000);
    expect(values).toEqual([1, 3]);
    expect(failures).toEqual([[true, 1]]);
    await worker.stop();
  });

  describe('context.send', () => {
    it('finishes the record only when the broker has acknowledged', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      kafka.createTopic('out');
      const hold = kafka.hold('send');
      const worker = workerOn(kafka, (_record, { send }) => send({ topic: 'out', value: 'x' }));
      await worker.start();
      await kafka.clock.advance(5_000);
      expect(kafka.committed('g', 't').get(0)).toBe(0);
      hold.release();
      await kafka.clock.advance(5_000);
      expect(kafka.committed('g', 't').get(0)).toBe(1);
      expect(kafka.records('out').map((record) => String(record.value))).toEqual(['x']);
      await worker.stop();
    });

    it('makes a message that fails the failure of its record', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      kafka.createTopic('out');
      kafka.failSends(1);
      const attempts: number[] = [];
      const worker = workerOn(
        kafka,
        (_record, { send, attempt }) => {
          attempts.push(attempt);
          send({ topic: 'out', value: 'x' });
        },
        { onFailure: retryPolicy({ then: stop }) },
      );
      await worker.start();
      await kafka.clock.advance(5_000);
      expect(attempts).toEqual([1, 2]);
      expect(kafka.committed('g', 't').get(0)).toBe(1);
      await worker.stop();
    });

    it('refuses a message after the handler has returned', async () => {
      const kafka = clusterWith({ 0: ['a'] });
      let late: (() => void) | undefined;
      const worker = workerOn(kafka, (_record, { send }) => {
        late = () => send({ topic: 't', value: 'x' });
      });
      await worker.start();
      await kafka.clock.advance(10);
      expect(() => late?.()).toThrow(IllegalStateError);
      await worker.stop();
    });
  });

  describe('with a batch handler', () => {
    const batchWorker = (
      kafka: FakeKafka,
      batchHandler: BatchHandler<Buffer | null, Buffer | null, object>,
      rest: Rest & { batch?: { maxRecords?: number; maxWaitMs?: number } } = {},
    ): Worker =>
      new Worker({ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, batchHandler, ...rest });
    const text = (records: readonly KafkaRecord[]): string => records.map((record) => String(record.value)).join('');

    it('gets up to maxRecords consecutive records of one partition', async () => {
      const kafka = clusterWith({ 0: ['a', 'b', 'c', 'd', 'e'], 1: ['x'] });
      const batches: string[] = [];
      const worker = batchWorker(kafka, (records) => void batches.push(text(records)), { batch: { maxRecords: 3 } });
      await worker.start();
      await kafka.clock.advance(2_000);
      expect(batches.filter((batch) => batch !== 'x').join('')).toBe('abcde');
      expect(Math.max(...batches.map((batch) => batch.length))).toBe(3);
      expect(batches).toContain('x');
      expect(await worker.stop()).toMatchObject({ handled: 6 });
    });

    it('waits for a batch to fill, at most maxWaitMs', async () => {
      const kafka = clusterWith({ 0: ['a', 'b'] });
      const batches: string[] = [];
      const worker = batchWorker(kafka, (records) => void batches.push(text(records)), {
        batch: { maxRecords: 3, maxWaitMs: 100 },
      });
      await worker.start();
      await kafka.clock.advance(50);
      expect(batches).toEqual([]);
      await kafka.clock.advance(60);
      expect(batches).toEqual(['ab']);
      kafka.send(['c', 'd', 'e', 'f'].map((value) => ({ topic: 't', partition: 0, value })));
      await kafka.clock.advance(10);
      expect(batches).toEqual(['ab', 'cde']);
      await kafka.clock.advance(100);
      expect(batches).toEqual(['ab', 'cde', 'f']);
      await worker.stop();
    });

    it('decides for one record that fails alone, and the others count as handled', async () => {
      const kafka = clusterWith({ 0: ['a', 'b', 'c', 'd'] });
      const batches: string[] = [];
      const worker = batchWorker(
        kafka,
        (records, { fail, attempt }) => {
          batches.push(`${text(records)}${attempt}`);
          for (const record of records)
            if (String(record.value) === 'b' && attempt === 1) fail(record, new Error('no'));
        },
        { batch: { maxRecords: 3 }, onFailure: retryPolicy({ then: stop, backoff: { initialMs: 100, jitter: 0 } }) },
      );
      await worker.start();
      await kafka.clock.advance(50);
      expect(batches).toEqual(['abc1']);
      expect(worker.status().partitions[0]).toMatchObject({ nextOffset: 1, inFlight: 2 });
      await kafka.clock.advance(5_000);
      expect(batches).toEqual(['abc1', 'b2', 'd1']);
      expect(await worker.stop()).toMatchObject({ handled: 4, failed: 0 });
    });

    it('repeats the same batch when the handler throws, or passes all of it under skip', async () => {
      const kafka = clusterWith({ 0: ['a', 'b', 'c'] });
      const batches: string[] = [];
      const worker = batchWorker(
        kafka,
        (records, { attempt }) => {
          batches.push(`${text(records)}${attempt}`);
          throw new Error('no');
        },
        { onFailure: retryPolicy({ maxAttempts: 2, then: skip }) },
      );
      await worker.start();
      await kafka.clock.advance(5_000);
      expect(batches).toEqual(['abc1', 'abc2']);
      expect(await worker.stop()).toMatchObject({ handled: 0, failed: 3 });
    });

    it('fails only the record that a DeserializationError names, and gives the others their call', async () => {
      const kafka = clusterWith({ 0: ['1', 'x', '3'] });
      const calls: unknown[] = [];
      const options: WorkerOptions<unknown> = {
        ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
        value: json(),
        onFailure: skip,
        batchHandler: (records) => void calls.push(records.map((record) => record.value)),
      };
      const worker = new Worker(options);
      await worker.start();
      await kafka.clock.advance(2_000);
      expect(calls).toEqual([[1, 3]]);
      expect(await worker.stop()).toMatchObject({ handled: 2, failed: 1 });
    });
  });

  it('wraps handler calls in plugins, the first outermost, and reports a listener that throws without being disturbed', async () => {
    const kafka = clusterWith({ 0: ['a'] });
    const order: string[] = [];
    const plugin = (name: string) => ({
      name,
      listeners: {
        settled: () => {
          throw new Error(`${name} listener`);
        },
      },
      aroundRecord: async (_record: unknown, _context: unknown, next: () => Promise<void>) => {
        order.push(`${name} in`);
        await next();
        order.push(`${name} out`);
      },
      start: async () => void order.push(`${name} start`),
      stop: async () => void order.push(`${name} stop`),
    });
    const errors: string[] = [];
    const worker = workerOn(kafka, () => void order.push('handler'), { plugins: [plugin('one'), plugin('two')] });
    worker.on('error', ({ error }) => errors.push(error.message));
    await worker.start();
    await kafka.clock.advance(10);
    await worker.stop();
    expect(order).toEqual([
      ...['one start', 'two start', 'one in', 'two in', 'handler', 'two out', 'one out'],
      ...['two stop', 'one stop'],
    ]);
    expect(errors).toEqual(['one listener', 'two listener']);
  });
});
