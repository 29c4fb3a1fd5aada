import { afterEach, describe, expect, it } from '@jest/globals';
import { stopPolicy } from './defaults.ts';
import { ClientError, CommitError, PollError } from './errors.ts';
import type { Handler } from './handler.ts';
import { RetriableError, StuckHandlerError } from './handler-errors.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import type { NextOffset } from './record.ts';
import { retryPolicy } from './retry-policy.ts';
import { type FakeKafka, type FakeKafkaOptions, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions, WorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const at = (partition: number) => ({ topic: 't', partition });

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

/** A topic `t` with one partition for each list of values. */
function clusterWith(partitions: readonly (readonly string[])[], options: FakeKafkaOptions = {}): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: partitions.length } }, ...options });
  for (const [partition, values] of partitions.entries()) sendTo(kafka, partition, values);
  return kafka;
}

function sendTo(kafka: FakeKafka, partition: number, values: readonly string[]): void {
  kafka.send(values.map((value) => ({ topic: 't', partition, value })));
}

const running: Worker[] = [];

async function startWorker(
  kafka: FakeKafka,
  handler: Handler<Buffer | null, Buffer | null, object>,
  rest: Rest = {},
): Promise<Worker> {
  const options: WorkerOptions = {
    kafka,
    groupId: 'g',
    topics: 't',
    clock: kafka.clock,
    logger: quiet,
    handler,
    ...rest,
  };
  const worker = new Worker(options);
  worker.finished.catch(() => {});
  running.push(worker);
  await worker.start();
  return worker;
}

/** Stops a worker while time goes on. */
async function stop(kafka: FakeKafka, worker: Worker): ReturnType<Worker['stop']> {
  const stopping = worker.stop({ timeoutMs: 1_000 });
  await kafka.clock.advance(60_000);
  return stopping;
}

/** Handlers that return when they are told to, by the value of their record. */
class Gate {
  readonly started: string[] = [];
  readonly aborted: string[] = [];
  readonly #waiting = new Map<string, () => void>();
  readonly #isHeld: (value: string) => boolean;

  constructor(isHeld: (value: string) => boolean = () => true) {
    this.#isHeld = isHeld;
  }

  readonly handler: Handler<Buffer | null, Buffer | null, object> = (record, { signal }) => {
    const value = String(record.value);
    this.started.push(value);
    if (!this.#isHeld(value)) return undefined;
    signal.addEventListener('abort', () => this.aborted.push(value));
    return new Promise<void>((resolve) => void this.#waiting.set(value, resolve));
  };

  open(value: string): void {
    this.#waiting.get(value)?.();
    this.#waiting.delete(value);
  }
}

/** What every commit that reached the cluster asked for. */
function recordedCommits(): { readonly commits: string[]; readonly atAwait: NonNullable<FakeKafkaOptions['atAwait']> } {
  const commits: string[] = [];
  const name = ({ partition, offset }: NextOffset): string => `${partition}@${offset}`;
  return {
    commits,
    atAwait: ({ operation, offsets = [] }) => {
      if (operation === 'commit') commits.push(offsets.map(name).sort().join(' '));
    },
  };
}

/** Kafka's own code for the first partition that was not committed. */
function codeOf(error: Error): unknown {
  return error instanceof CommitError ? error.failures[0]?.kafkaCode : error;
}

afterEach(() => {
  for (const worker of running.splice(0)) expect(worker.state).toMatch(/stopped|failed/);
});

describe('a partition that is assigned', () => {
  it('goes on from the committed offset', async () => {
    const kafka = clusterWith([
      ['a', 'b', 'c'],
      ['x', 'y'],
    ]);
    kafka.group('g').setCommitted([{ ...at(0), offset: 2 }]);
    const gate = new Gate(() => false);
    const worker = await startWorker(kafka, gate.handler);
    await kafka.clock.advance(2_000);
    expect([...gate.started].sort()).toEqual(['c', 'x', 'y']);
    await stop(kafka, worker);
  });

  it('has its resolved start committed before anything is dispatched, so that a crash right then cannot jump', async () => {
    const kafka = clusterWith([['old']]);
    const hold = kafka.hold('commit');
    const gate = new Gate();
    const first = await startWorker(kafka, gate.handler, { startFrom: 'latest' });
    await hold.arrived();
    sendTo(kafka, 0, ['new']);
    await kafka.clock.advance(5_000);
    expect(gate.started).toEqual([]);
    hold.release();
    await kafka.clock.advance(100);
    expect(gate.started).toEqual(['new']);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    // The crash: it is expelled, and the next one starts from what was committed.
    sendTo(kafka, 0, ['newer']);
    kafka.group('g').kick();
    await kafka.clock.advance(1_000);
    expect(gate.started).toEqual(['new', 'new']);
    gate.open('new');
    await stop(kafka, first);
  });

  it('commits no start where the committed offset stands for it', async () => {
    const { commits, atAwait } = recordedCommits();
    const kafka = clusterWith([['a']], { atAwait });
    kafka.group('g').setCommitted([{ ...at(0), offset: 1 }]);
    const worker = await startWorker(kafka, () => {});
    await kafka.clock.advance(5_000);
    expect(commits).toEqual([]);
    await stop(kafka, worker);
  });

  it.each([
    ['fail', undefined, undefined],
    ['earliest', 2, 'c'],
    ['latest', 4, undefined],
  ] as const)(
    'that has lost its committed offset does as onOffsetOutOfRange says: %s',
    async (option, start, first) => {
      const kafka = clusterWith([['a', 'b', 'c', 'd']]);
      kafka.group('g').setCommitted([{ ...at(0), offset: 1 }]);
      kafka.deleteRecords(at(0), 2);
      const gate = new Gate(() => false);
      const worker = await startWorker(kafka, gate.handler, { onOffsetOutOfRange: option });
      await kafka.clock.advance(1_000);
      expect(gate.started[0]).toBe(first);
      if (option === 'fail') {
        await expect(worker.finished).rejects.toMatchObject({
          ...{ code: 'OFFSET_OUT_OF_RANGE', topic: 't', partition: 0, offset: 1, earliest: 2, latest: 4 },
        });
        expect(kafka.committed('g', 't').get(0)).toBe(1);
      } else {
        expect(worker.status().partitions[0]?.nextOffset).toBe(4);
        expect(start).toBeDefined();
        const summary = await stop(kafka, worker);
        expect(summary.state).toBe('stopped');
      }
    },
  );

  it('waits for brokers that are away while its start is resolved, and does not fail', async () => {
    const kafka = clusterWith([['a']]);
    const worker = await startWorker(kafka, () => {});
    const end = kafka.outage();
    await kafka.clock.advance(90_000);
    expect(worker.state).toBe('running');
    end();
    await kafka.clock.advance(10_000);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    await stop(kafka, worker);
  });

  it('fails the worker with a named error when its start may never be resolved', async () => {
    const kafka = clusterWith([['a']]);
    kafka.fail('committed', 1, () => new ClientError('not allowed'));
    const worker = await startWorker(kafka, () => {});
    await kafka.clock.advance(1_000);
    await expect(worker.finished).rejects.toThrow('not allowed');
    expect(kafka.committed('g', 't').size).toBe(0);
  });

  // One partition's refused start left the others of the same event without an owner for good.
  it('is handled also when another one of the same event was taken away while their starts were committed', async () => {
    const kafka = clusterWith([['a'], ['x']]);
    const hold = kafka.hold('commit');
    const gate = new Gate(() => false);
    const worker = await startWorker(kafka, gate.handler);
    await hold.arrived();
    kafka.group('g').lose([at(1)]);
    hold.release();
    await kafka.clock.advance(5_000);
    expect(gate.started).toEqual(['a']);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    kafka.group('g').rebalance();
    await kafka.clock.advance(5_000);
    expect(gate.started).toEqual(['a', 'x']);
    await stop(kafka, worker);
  });
});

describe('a partition that is revoked', () => {
  it('waits for its running handler, commits, then is released; the others go on meanwhile', async () => {
    const kafka = clusterWith([
      ['a', 'b'],
      ['x', 'y', 'z'],
    ]);
    const gate = new Gate();
    const worker = await startWorker(kafka, gate.handler);
    const revoked: unknown[] = [];
    worker.on('revoked', (event) => revoked.push(event));
    await kafka.clock.advance(10);
    expect([...gate.started].sort()).toEqual(['a', 'x']);
    kafka.group('g').revoke([at(0)]);
    await kafka.clock.advance(1_000);
    gate.open('x');
    await kafka.clock.advance(1_000);
    gate.open('y');
    await kafka.clock.advance(1_000);
    expect(gate.started.slice(2)).toEqual(['y', 'z']);
    expect(kafka.group('g').assignment()).toContainEqual(at(0));
    expect(kafka.committed('g', 't').get(0)).toBe(0);
    gate.open('a');
    await kafka.clock.advance(10);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    expect(kafka.group('g').assignment()).toEqual([at(1)]);
    expect(gate.started).not.toContain('b');
    expect(revoked).toEqual([{ partitions: [at(0)], lost: false, drainedMs: 3_000 }]);
    gate.open('z');
    await stop(kafka, worker);
  });

  it('is released only when the last commit is acknowledged', async () => {
    const kafka = clusterWith([['a']]);
    const worker = await startWorker(kafka, () => {});
    await kafka.clock.settle();
    const hold = kafka.hold('commit-answer');
    kafka.group('g').revoke();
    await kafka.clock.advance(500);
    expect(hold.waiting).toBe(1);
    expect(kafka.group('g').assignment()).toEqual([at(0)]);
    hold.release();
    await kafka.clock.advance(10);
    expect(kafka.group('g').assignment()).toEqual([]);
    await stop(kafka, worker);
  });

  it('aborts the signal of a handler that outlives the deadline, commits what is finished before it, and lets go when it returns', async () => {
    const kafka = clusterWith([['a', 'b']]);
    const gate = new Gate((value) => value === 'b');
    const worker = await startWorker(kafka, gate.handler, { revokeDrainMs: 5_000 });
    await kafka.clock.advance(10);
    kafka.group('g').revoke();
    await kafka.clock.advance(4_900);
    expect(gate.aborted).toEqual([]);
    await kafka.clock.advance(5_000);
    expect(gate.aborted).toEqual(['b']);
    // It may still write: nobody else gets the partition.
    expect(kafka.group('g').assignment()).toEqual([at(0)]);
    gate.open('b');
    await kafka.clock.advance(1_000);
    expect(kafka.group('g').assignment()).toEqual([]);
    expect(kafka.committed('g', 't').get(0)).toBe(2);
    await stop(kafka, worker);
  });

  it('ends the worker when a handler ignores its aborted signal, and is not released before', async () => {
    const kafka = clusterWith([['a', 'b']]);
    const gate = new Gate((value) => value === 'b');
    const worker = await startWorker(kafka, gate.handler, { revokeDrainMs: 5_000 });
    const finished = expect(worker.finished).rejects.toThrow(StuckHandlerError);
    await kafka.clock.advance(10);
    kafka.group('g').revoke();
    await kafka.clock.advance(15_500);
    await finished;
    await kafka.clock.advance(60_000);
    expect([worker.state, kafka.group('g').assignment()]).toEqual(['failed', [at(0)]]);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    gate.open('b');
    await kafka.clock.advance(1_000);
    expect([kafka.committed('g', 't').get(0), kafka.group('g').size]).toEqual([2, 0]);
  });

  it('does not wait for a record that waits for a retry: it is left for the next owner', async () => {
    const kafka = clusterWith([['a', 'b']]);
    const attempts: string[] = [];
    const onFailure = retryPolicy({ then: stopPolicy, backoff: { initialMs: 20_000, jitter: 0 } });
    const worker = await startWorker(
      kafka,
      (record, { attempt }) => {
        attempts.push(`${record.value}${attempt}`);
        if (String(record.value) === 'a' && attempts.length === 1) throw new Error('not yet');
      },
      { onFailure },
    );
    await kafka.clock.advance(10);
    kafka.group('g').revoke();
    await kafka.clock.advance(100);
    expect(kafka.group('g').assignment()).toEqual([]);
    await kafka.clock.advance(30_000);
    expect(attempts).toEqual(['a1']);
    expect(kafka.committed('g', 't').get(0)).toBe(0);
    kafka.group('g').rebalance();
    await kafka.clock.advance(1_000);
    expect(attempts).toEqual(['a1', 'a1', 'b1']);
    await stop(kafka, worker);
  });

  it('leaves a record whose handler fails while it is being revoked, however soon the retry would be', async () => {
    const kafka = clusterWith([['a', 'b']]);
    let fail: ((error: Error) => void) | undefined;
    const calls: string[] = [];
    const worker = await startWorker(kafka, (record) => {
      calls.push(String(record.value));
      return calls.length === 1
        ? undefined
        : new Promise<void>((_resolve, reject) => {
            fail = reject;
          });
    });
    await kafka.clock.advance(10);
    const hold = kafka.hold('commit');
    kafka.group('g').revoke();
    await kafka.clock.advance(100);
    fail?.(new RetriableError('at once', { retryAfterMs: 0 }));
    await kafka.clock.advance(100);
    // The last commit is under way: the partition is still ours, but leaving.
    expect([hold.waiting, kafka.group('g').assignment()]).toEqual([1, [at(0)]]);
    hold.release();
    await kafka.clock.advance(1_000);
    expect(calls).toEqual(['a', 'b']);
    expect([kafka.group('g').assignment(), kafka.committed('g', 't').get(0)]).toEqual([[], 1]);
    await stop(kafka, worker);
  });

  // The call was once started again on a partition that was as good as released.
  it('is kept until what a batch has left is handled, after one record of it could not be decoded', async () => {
    const kafka = clusterWith([['1', 'broken', '3']]);
    const calls: number[] = [];
    let goOn: () => void = () => {};
    const worker = new Worker<number>({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      value: { deserialize: (bytes) => JSON.parse(String(bytes)) as number },
      onFailure: { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip' }) },
      batchHandler: async (records) => {
        calls.push(records.length);
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
        calls.push(...records.map((record) => record.value));
      },
    });
    running.push(worker);
    await worker.start();
    await kafka.clock.advance(10);
    kafka.group('g').revoke();
    await kafka.clock.advance(10);
    goOn();
    await kafka.clock.advance(100);
    expect(calls).toEqual([3, 2]);
    expect(kafka.group('g').assignment()).toEqual([at(0)]);
    goOn();
    await kafka.clock.advance(100);
    expect(calls).toEqual([3, 2, 1, 3]);
    expect([kafka.group('g').assignment(), kafka.committed('g', 't').get(0)]).toEqual([[], 3]);
    await stop(kafka, worker);
  });

  it('while it is still being assigned is let go without a record handled', async () => {
    const kafka = clusterWith([['a']]);
    const hold = kafka.hold('committed');
    const gate = new Gate(() => false);
    const worker = await startWorker(kafka, gate.handler);
    await hold.arrived();
    const assigned: unknown[] = [];
    worker.on('assigned', (event) => assigned.push(event));
    kafka.group('g').lose();
    await kafka.clock.advance(100);
    hold.release();
    await kafka.clock.advance(5_000);
    expect(gate.started).toEqual([]);
    expect(kafka.group('g').assignment()).toEqual([]);
    kafka.group('g').rebalance();
    await kafka.clock.advance(1_000);
    expect(gate.started).toEqual(['a']);
    await stop(kafka, worker);
  });

  it('and comes back while its revocation still waits for a handler, goes on behind what that has finished', async () => {
    const kafka = clusterWith([['a', 'b'], ['x']]);
    const gate = new Gate((value) => value === 'a');
    const order: string[] = [];
    const worker = await startWorker(kafka, gate.handler);
    worker.on('assigned', ({ partitions }) => order.push(`assigned ${partitions.map((p) => p.partition).join()}`));
    worker.on('revoked', ({ partitions }) => order.push(`revoked ${partitions.map((p) => p.partition).join()}`));
    await kafka.clock.advance(100);
    kafka.group('g').revoke([at(0)]);
    await kafka.clock.advance(100);
    kafka.group('g').assign([at(0)]);
    await kafka.clock.advance(2_000);
    expect(order).toEqual(['assigned 0,1']);
    expect(gate.started).toEqual(['a', 'x']);
    gate.open('a');
    await kafka.clock.advance(2_000);
    expect(order).toEqual(['assigned 0,1', 'revoked 0', 'assigned 0']);
    expect(gate.started).toEqual(['a', 'x', 'b']);
    await stop(kafka, worker);
    expect([...kafka.committed('g', 't').values()]).toEqual([2, 1]);
  });

  it('is told in the order in which it happened, however long each takes', async () => {
    const kafka = clusterWith([['a'], ['x']]);
    const order: string[] = [];
    const worker = await startWorker(kafka, () => {});
    worker.on('assigned', ({ partitions }) => order.push(`assigned ${partitions.map((p) => p.partition).join()}`));
    worker.on('revoked', ({ partitions }) => order.push(`revoked ${partitions.map((p) => p.partition).join()}`));
    await kafka.clock.advance(2_000);
    sendTo(kafka, 0, ['b']);
    const hold = kafka.hold('commit');
    await kafka.clock.settle();
    kafka.group('g').revoke([at(0)]);
    await kafka.clock.settle();
    kafka.group('g').revoke([at(1)]);
    await kafka.clock.advance(500);
    hold.release();
    await kafka.clock.advance(500);
    kafka.group('g').assign([at(1)]);
    await kafka.clock.advance(500);
    expect(order).toEqual(['assigned 0,1', 'revoked 0', 'revoked 1', 'assigned 1']);
    await stop(kafka, worker);
  });
});

describe('a partition that is lost', () => {
  it('has its handler aborted, nothing committed, and a late result dropped', async () => {
    const { commits, atAwait } = recordedCommits();
    const kafka = clusterWith([['a', 'b']], { atAwait });
    const gate = new Gate((value) => value === 'b');
    const worker = await startWorker(kafka, gate.handler);
    await kafka.clock.advance(10);
    const before = commits.length;
    kafka.group('g').lose();
    await kafka.clock.advance(10);
    expect(gate.aborted).toEqual(['b']);
    expect(kafka.group('g').assignment()).toEqual([]);
    gate.open('b');
    await kafka.clock.advance(10_000);
    expect(commits.slice(before)).toEqual([]);
    expect(kafka.committed('g', 't').get(0)).toBe(0);
    expect(await stop(kafka, worker)).toMatchObject({ state: 'stopped', handled: 1 });
  });

  it('while it is being revoked has its refused commit reported, which is not fatal', async () => {
    const kafka = clusterWith([['a', 'b']]);
    const gate = new Gate((value) => value === 'b');
    const worker = await startWorker(kafka, gate.handler, { commit: { everyMs: 60_000 } });
    const failures: unknown[] = [];
    worker.on('commit-failed', ({ error }) => failures.push(codeOf(error)));
    await kafka.clock.advance(10);
    kafka.group('g').revoke();
    await kafka.clock.advance(10);
    kafka.group('g').kick();
    gate.open('b');
    await kafka.clock.advance(10);
    expect([failures, kafka.committed('g', 't').get(0), worker.state]).toEqual([[25], 0, 'running']);
    await stop(kafka, worker);
  });

  it('comes back from the committed offset, and results of before are dropped', async () => {
    const kafka = clusterWith([['a', 'b', 'c']]);
    const gate = new Gate((value) => value !== 'a');
    const worker = await startWorker(kafka, gate.handler);
    await kafka.clock.advance(2_000);
    expect(gate.started).toEqual(['a', 'b']);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    const late = new Map<string, () => void>();
    late.set('b', () => gate.open('b'));
    kafka.group('g').kick();
    // The old call of b returns as soon as the new one has started.
    const firstB = gate.started.length;
    await kafka.clock.advance(2_000);
    expect(gate.started.slice(firstB)).toEqual(['b']);
    expect(worker.status().partitions[0]).toMatchObject({ nextOffset: 1, inFlight: 2 });
    gate.open('b');
    await kafka.clock.advance(2_000);
    gate.open('c');
    await kafka.clock.advance(2_000);
    expect(kafka.committed('g', 't').get(0)).toBe(3);
    expect(await stop(kafka, worker)).toMatchObject({ handled: 3, left: [] });
  });

  it('is not finished by a late result of its former time', async () => {
    const kafka = clusterWith([['a']]);
    const calls: (() => void)[] = [];
    const worker = await startWorker(kafka, () => new Promise<void>((resolve) => void calls.push(resolve)));
    await kafka.clock.advance(10);
    kafka.group('g').kick();
    await kafka.clock.advance(1_000);
    expect(calls).toHaveLength(2);
    calls[0]?.();
    await kafka.clock.advance(5_000);
    expect(kafka.committed('g', 't').get(0)).toBe(0);
    expect(worker.status().partitions[0]).toMatchObject({ nextOffset: 0, inFlight: 1 });
    calls[1]?.();
    await kafka.clock.advance(5_000);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    expect(await stop(kafka, worker)).toMatchObject({ handled: 1 });
  });
});

describe('two workers of a group', () => {
  it('share the partitions and hand them over with nothing lost and nothing repeated', async () => {
    const values = (partition: number): string[] => Array.from({ length: 60 }, (_, i) => `${partition}-${i}`);
    const kafka = clusterWith([values(0), values(1), values(2), values(3)]);
    const handled: string[] = [];
    const byWorker = new Map<string, Set<number>>();
    const handler =
      (name: string): Handler<Buffer | null, Buffer | null, object> =>
      async (record) => {
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 7));
        handled.push(String(record.value));
        byWorker.set(name, (byWorker.get(name) ?? new Set()).add(record.partition));
      };
    const one = await startWorker(kafka, handler('one'));
    await kafka.clock.advance(100);
    const two = await startWorker(kafka, handler('two'));
    await kafka.clock.advance(100);
    expect([...(byWorker.get('two') ?? [])].sort()).toEqual([2, 3]);
    const stopping = one.stop();
    await kafka.clock.advance(2_000);
    await stopping;
    expect([...handled].sort()).toEqual([0, 1, 2, 3].flatMap(values).sort());
    for (let partition = 0; partition < 4; partition++)
      expect(handled.filter((value) => value.startsWith(`${partition}-`))).toEqual(values(partition));
    expect([...kafka.committed('g', 't').values()]).toEqual([60, 60, 60, 60]);
    await stop(kafka, two);
  });
});

describe('startFrom', () => {
  it.each(['one worker', 'two workers'])(
    'latest skips what was there, and starts later partitions at their beginning, with %s',
    async (count) => {
      const kafka = clusterWith([['old'], ['old']]);
      const gate = new Gate(() => false);
      const rest = { startFrom: 'latest' } as const;
      const workers = [await startWorker(kafka, gate.handler, rest)];
      if (count === 'two workers') workers.push(await startWorker(kafka, gate.handler, rest));
      await kafka.clock.advance(2_000);
      expect(gate.started).toEqual([]);
      kafka.addPartitions('t', 4);
      sendTo(kafka, 2, ['first of 2']);
      sendTo(kafka, 3, ['first of 3']);
      await kafka.clock.advance(5_000);
      expect([...gate.started].sort()).toEqual(['first of 2', 'first of 3']);
      for (const worker of workers) await stop(kafka, worker);
    },
  );

  it('latest starts a partition at its beginning that appeared while no worker ran', async () => {
    const kafka = clusterWith([['old']]);
    const first = await startWorker(kafka, () => {}, { startFrom: 'latest' });
    await kafka.clock.advance(2_000);
    await stop(kafka, first);
    kafka.addPartitions('t', 2);
    sendTo(kafka, 1, ['new']);
    const gate = new Gate(() => false);
    const second = await startWorker(kafka, gate.handler, { startFrom: 'latest' });
    await kafka.clock.advance(2_000);
    expect(gate.started).toEqual(['new']);
    await stop(kafka, second);
  });

  it('latest starts a topic at its beginning that a regular expression finds later', async () => {
    const kafka = fakeKafka({ topics: { 'audit.a': { partitions: 1 } } });
    kafka.send([{ topic: 'audit.a', value: 'old' }]);
    const gate = new Gate(() => false);
    const worker = await startWorker(kafka, gate.handler, { topics: /^audit\./, startFrom: 'latest' });
    await kafka.clock.advance(2_000);
    kafka.createTopic('audit.b', { partitions: 2 });
    kafka.createTopic('other');
    kafka.send([
      { topic: 'audit.b', value: 'b0', partition: 0 },
      { topic: 'audit.b', value: 'b1', partition: 1 },
      { topic: 'other', value: 'other' },
    ]);
    await kafka.clock.advance(35_000);
    expect([...gate.started].sort()).toEqual(['b0', 'b1']);
    await stop(kafka, worker);
  });

  it('a date starts a new group at the first record that is not older', async () => {
    const kafka = clusterWith([['a']]);
    await kafka.clock.advance(1_000);
    const date = new Date(kafka.clock.now());
    sendTo(kafka, 0, ['b']);
    const gate = new Gate(() => false);
    const worker = await startWorker(kafka, gate.handler, { startFrom: date });
    await kafka.clock.advance(1_000);
    expect(gate.started).toEqual(['b']);
    await stop(kafka, worker);
  });
});

describe('a commit that fails', () => {
  const failedCommits = (worker: Worker): unknown[] => {
    const failures: unknown[] = [];
    worker.on('commit-failed', ({ error }) => failures.push(codeOf(error)));
    return failures;
  };

  it('is repeated with growing waits and reported when another attempt may help', async () => {
    const { commits, atAwait } = recordedCommits();
    const kafka = clusterWith([['a']], { atAwait });
    const worker = await startWorker(kafka, () => {});
    const failures = failedCommits(worker);
    await kafka.clock.settle();
    kafka.failCommits(4, { kafkaCode: 7, retriable: true });
    await kafka.clock.advance(10_000);
    expect(failures).toEqual([7, 7, 7, 7]);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
    expect(commits.filter((one) => one === '0@1')).toHaveLength(5);
    expect((await stop(kafka, worker)).state).toBe('stopped');
  });

  it.each([22, 25, 27, 113])(
    'for a reason that a rebalance explains (%d) is reported, and is not fatal',
    async (kafkaCode) => {
      const kafka = clusterWith([['a']]);
      const worker = await startWorker(kafka, () => {});
      const failures = failedCommits(worker);
      await kafka.clock.settle();
      kafka.failCommits(1, { kafkaCode, retriable: false });
      await kafka.clock.advance(10_000);
      expect(failures).toEqual([kafkaCode]);
      expect([worker.state, kafka.committed('g', 't').get(0)]).toEqual(['running', 1]);
      await stop(kafka, worker);
    },
  );

  it.each([
    [22, 1],
    [27, 1],
    [113, 1],
    // It is a member no more: whoever has the partition now commits it.
    [25, 0],
  ])('at a stop, for a reason of the group (%d), follows it into its next generation', async (kafkaCode, committed) => {
    const kafka = clusterWith([['a']]);
    const worker = await startWorker(kafka, () => {}, { commit: { everyMs: 600_000 } });
    const failures = failedCommits(worker);
    await kafka.clock.settle();
    kafka.failCommits(5, { kafkaCode, retriable: false });
    expect((await stop(kafka, worker)).state).toBe('stopped');
    expect(kafka.committed('g', 't').get(0)).toBe(committed);
    expect(new Set(failures)).toEqual(new Set([kafkaCode]));
  });

  it('for good ends the worker with that error', async () => {
    const kafka = clusterWith([['a']]);
    const worker = await startWorker(kafka, () => {});
    await kafka.clock.settle();
    kafka.failCommits(9, { kafkaCode: 29, retriable: false });
    await kafka.clock.advance(10_000);
    await expect(worker.finished).rejects.toBeInstanceOf(CommitError);
    expect(worker.state).toBe('failed');
  });

  it('for good while a start is committed ends the worker before anything was handled', async () => {
    const kafka = clusterWith([['a']]);
    kafka.failCommits(9, { kafkaCode: 29, retriable: false });
    const gate = new Gate();
    const worker = await startWorker(kafka, gate.handler);
    await kafka.clock.advance(10_000);
    await expect(worker.finished).rejects.toBeInstanceOf(CommitError);
    expect(gate.started).toEqual([]);
  });

  it('never to be acknowledged hangs neither a revoke nor a stop', async () => {
    const kafka = clusterWith([['a'], ['x']]);
    const worker = await startWorker(kafka, () => {}, { revokeDrainMs: 5_000 });
    await kafka.clock.settle();
    kafka.hold('commit');
    await kafka.clock.advance(2_000);
    kafka.group('g').revoke([at(0)]);
    await kafka.clock.advance(20_000);
    expect(kafka.group('g').assignment()).toEqual([at(1)]);
    const stopping = worker.stop();
    await kafka.clock.advance(120_000);
    expect((await stopping).state).toMatch(/stopped|failed/);
    expect(kafka.committed('g', 't').get(0)).toBe(0);
  });

  it('never overlaps another one, also not one of a start', async () => {
    const kafka = clusterWith([['a'], ['x']]);
    let underWay = 0;
    let most = 0;
    let goOn: (() => void) | undefined;
    let isHeld = false;
    const worker = await startWorker(kafka, () => {}, {
      delivery: {
        kind: 'delivery',
        name: 'counting',
        open: ({ consumer }) =>
          Promise.resolve({
            async commit({ partitions }) {
              most = Math.max(most, ++underWay);
              if (isHeld) await new Promise<void>((resolve) => (goOn = resolve));
              await consumer.commit(partitions).finally(() => underWay--);
            },
            close: () => Promise.resolve(),
          }),
      },
    });
    await kafka.clock.advance(2_000);
    kafka.group('g').revoke([at(1)]);
    await kafka.clock.advance(2_000);
    kafka.group('g').forget(at(1));
    isHeld = true;
    sendTo(kafka, 0, ['b']);
    await kafka.clock.advance(2_000);
    expect(underWay).toBe(1);
    kafka.group('g').assign([at(1)]);
    await kafka.clock.advance(500);
    isHeld = false;
    goOn?.();
    await kafka.clock.advance(2_000);
    expect(most).toBe(1);
    expect(kafka.committed('g', 't').get(1)).toBe(1);
    await stop(kafka, worker);
  });
});

describe('what the client reports', () => {
  it('of a fetch that failed loses no record', async () => {
    const kafka = clusterWith([['a', 'b', 'c']]);
    const gate = new Gate(() => false);
    const errors: string[] = [];
    kafka.fail('poll', 3, () => new PollError('fetch failed', { retriable: true }));
    const worker = await startWorker(kafka, gate.handler);
    worker.on('error', ({ error }) => errors.push(error.message));
    await kafka.clock.advance(5_000);
    sendTo(kafka, 0, ['d']);
    kafka.fail('poll', 1, () => new PollError('fetch failed', { retriable: true }));
    await kafka.clock.advance(5_000);
    expect(gate.started).toEqual(['a', 'b', 'c', 'd']);
    expect(errors.length).toBeGreaterThan(1);
    expect(kafka.committed('g', 't').get(0)).toBe(4);
    await stop(kafka, worker);
  });

  it('as fatal ends the worker with that error, after what was handled is committed', async () => {
    const kafka = clusterWith([['a']]);
    const worker = await startWorker(kafka, () => {});
    await kafka.clock.settle();
    kafka.fail('poll', 1, () => new ClientError('it is broken'));
    await kafka.clock.advance(20_000);
    await expect(worker.finished).rejects.toThrow('it is broken');
    expect(kafka.committed('g', 't').get(0)).toBe(1);
  });

  it.each([
    ['fail', undefined],
    ['earliest', 'e'],
    ['latest', 'g'],
  ] as const)('as out of range while it runs does as onOffsetOutOfRange says: %s', async (option, next) => {
    const kafka = clusterWith([['a', 'b', 'c']]);
    const gate = new Gate(() => false);
    const worker = await startWorker(kafka, gate.handler, {
      onOffsetOutOfRange: option,
      limits: { inFlightRecords: 1 },
    });
    await kafka.clock.advance(2_000);
    expect(gate.started).toEqual(['a', 'b', 'c']);
    // The partition is not read while records come and are deleted again.
    const end = kafka.outage();
    await kafka.clock.advance(2_000);
    sendTo(kafka, 0, ['d', 'e', 'f']);
    kafka.deleteRecords(at(0), 4);
    end();
    await kafka.clock.advance(5_000);
    if (option === 'fail') {
      await expect(worker.finished).rejects.toBeInstanceOf(OffsetOutOfRangeError);
      expect(kafka.committed('g', 't').get(0)).toBe(3);
      return;
    }
    sendTo(kafka, 0, ['g']);
    await kafka.clock.advance(5_000);
    expect(gate.started[3]).toBe(next);
    expect(kafka.committed('g', 't').get(0)).toBe(7);
    await stop(kafka, worker);
  });
});

describe('seek', () => {
  // The offset that was last known to be committed was sought; the commit under way then moved the group past it.
  it('back to what was committed wins over a commit that was under way', async () => {
    const kafka = clusterWith([['a', 'b']]);
    let isHeld = false;
    const gate = new Gate(() => isHeld);
    const worker = await startWorker(kafka, gate.handler);
    await kafka.clock.settle();
    const hold = kafka.hold('commit');
    await kafka.clock.advance(2_000);
    expect(hold.waiting).toBe(1);
    isHeld = true;
    await worker.seek(at(0), 0);
    hold.release();
    await kafka.clock.advance(5_000);
    expect(gate.started).toEqual(['a', 'b', 'a']);
    expect(kafka.committed('g', 't').get(0)).toBe(0);
    gate.open('a');
    await stop(kafka, worker);
  });
});

describe('a seek that the client refuses', () => {
  // The partition was left without an owner: assigned, with nothing of it handled any more, and nothing said so.
  it('ends the worker, for nobody knows where the client reads on', async () => {
    const kafka = clusterWith([['a']]);
    const worker = await startWorker(kafka, () => {});
    await kafka.clock.advance(2_000);
    kafka.fail('seek', 1, () => new ClientError('the request timed out', { retriable: true }));
    await expect(worker.seek(at(0), 0)).rejects.toThrow('timed out');
    await kafka.clock.advance(10_000);
    await expect(worker.finished).rejects.toThrow('t/0 could not be sought to 0');
    expect(kafka.committed('g', 't').get(0)).toBe(1);
  });
});

describe('stop', () => {
  // What a poll brought in the very moment in which everything had drained was started, and nobody waited for it.
  it('in drain mode starts nothing any more once it is quiet, whenever a poll comes back', async () => {
    for (let microtasks = 0; microtasks < 25; microtasks++) {
      const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
      let running = 0;
      const worker = new Worker({
        ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
        handler: async () => {
          running++;
          await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 10));
          running--;
        },
      });
      await worker.start();
      await kafka.clock.advance(100);
      kafka.send([{ topic: 't', partition: 0, value: 'a' }]);
      for (let i = 0; i < microtasks; i++) await Promise.resolve();
      let runningAtEnd: number | undefined;
      const stopping = worker.stop({ mode: 'drain' }).then(() => {
        runningAtEnd = running;
      });
      await kafka.clock.advance(5);
      await kafka.clock.advance(60_000);
      await stopping;
      expect({ microtasks, runningAtEnd }).toEqual({ microtasks, runningAtEnd: 0 });
    }
  });

  // The revocation went on waiting behind the end of the worker, and committed with a client that was closed.
  it('commits nothing more when a released handler returns after the end, whose partition was being revoked', async () => {
    const kafka = fakeKafka({ topics: { t: { partitions: 1 } } });
    const failed: string[] = [];
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, onStuckHandler: 'release' },
      handler: () => new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 20_000)),
    });
    worker.on('commit-failed', ({ error }) => failed.push(error.message));
    await worker.start();
    kafka.send([{ topic: 't', partition: 0, value: 'a' }]);
    await kafka.clock.advance(1_000);
    const stopping = worker.stop({ timeoutMs: 1_000 });
    kafka.group('g').revoke();
    await kafka.clock.advance(5_000);
    expect(await stopping).toMatchObject({ state: 'failed', error: { code: 'SHUTDOWN_TIMEOUT' } });
    await kafka.clock.advance(60_000);
    expect(failed).toEqual([]);
    expect(kafka.committed('g', 't').get(0)).toBe(0);
  });

  // The commit of a revocation was repeated with a client that was closed.
  it('repeats no refused commit of a revocation after the end', async () => {
    const kafka = clusterWith([['a']]);
    const failed: string[] = [];
    const worker = new Worker({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet },
      handler: () => {},
    });
    worker.on('commit-failed', ({ error }) => failed.push(error.message));
    await worker.start();
    await kafka.clock.settle();
    kafka.failCommits(1, { kafkaCode: 27, retriable: false });
    kafka.group('g').revoke();
    await kafka.clock.advance(10);
    expect(failed).toHaveLength(1);
    kafka.group('g').kick();
    const stopping = worker.stop();
    await kafka.clock.advance(60_000);
    await stopping;
    expect(failed.filter((message) => message.includes('closed'))).toEqual([]);
  });

  // What the last poll brought after everything had drained was started while the worker was closing.
  it('in drain mode starts nothing any more once it commits', async () => {
    const kafka = clusterWith([['a']]);
    const gate = new Gate(() => false);
    const worker = await startWorker(kafka, gate.handler);
    await kafka.clock.settle();
    const hold = kafka.hold('commit');
    const stopping = worker.stop({ mode: 'drain' });
    await hold.arrived();
    sendTo(kafka, 0, ['late']);
    await kafka.clock.advance(100);
    hold.release();
    await kafka.clock.advance(10_000);
    expect(await stopping).toMatchObject({ state: 'stopped', handled: 1 });
    expect(gate.started).toEqual(['a']);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
  });
});
