import { describe, expect, it } from '@jest/globals';
import { stopPolicy } from './defaults.ts';
import type { Delivery, DeliveryContext, DeliverySession } from './delivery.ts';
import { CommitError, InvalidOptionError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import { RetriableError } from './handler-errors.ts';
import type { NextOffset } from './record.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { WorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const at = (partition: number) => ({ topic: 't', partition });

interface Transaction {
  readonly transaction: string;
}
type Session = DeliverySession<Transaction>;
type Options = WorkerOptions<Buffer | null, Buffer | null, Transaction>;

function delivery(more: Partial<Delivery<Transaction>> & { session?: (context: DeliveryContext) => Partial<Session> }) {
  const { session, ...rest } = more;
  const own: Delivery<Transaction> = {
    kind: 'delivery',
    name: 'own',
    open: (context) =>
      Promise.resolve({
        commit: ({ partitions }) => context.consumer.commit(partitions),
        close: async () => {},
        ...session?.(context),
      }),
    ...rest,
  };
  return own;
}

function cluster(...counts: readonly number[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: counts.length } } });
  for (const [partition, count] of counts.entries())
    kafka.send(Array.from({ length: count }, (_, i) => ({ ...at(partition), value: `${i}` })));
  return kafka;
}

async function started(kafka: FakeKafka, options: Partial<Options> & Pick<Options, 'delivery'>) {
  const worker = new Worker<Buffer | null, Buffer | null, Transaction>({
    ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, random: () => 0.5 },
    onFailure: stopPolicy,
    ...options,
  } as Options);
  worker.finished.catch(() => {});
  await worker.start();
  await kafka.clock.advance(2_000);
  return worker;
}

async function stopped(kafka: FakeKafka, worker: Worker<Buffer | null, Buffer | null, Transaction>) {
  const stopping = worker.stop();
  await kafka.clock.advance(60_000);
  return await stopping;
}

describe('a delivery with a store of its own', () => {
  it('is asked what is committed, after it has claimed, and whatever Kafka says', async () => {
    const kafka = cluster(5, 5);
    // The group has everything: by Kafka's offsets nothing is left to handle.
    await stopped(kafka, await started(kafka, { delivery: delivery({}), handler: () => {} }));
    const asked: string[] = [];
    const handled: string[] = [];
    const worker = await started(kafka, {
      delivery: delivery({
        session: () => ({
          startOffsets: async () => {
            asked.push('claim');
            return [{ ...at(0), offset: 2 }];
          },
          committed: async (partitions) => {
            asked.push('committed');
            return partitions.map((one) => ({
              ...one,
              offset: one.partition === 0 ? 2 : undefined,
              metadata: undefined,
            }));
          },
        }),
      }),
      startFrom: 'latest',
      handler: ({ partition, offset }) => handled.push(`${partition}@${offset}`),
    });
    await stopped(kafka, worker);
    expect(asked).toEqual(['claim', 'committed']);
    // The other partition has no row: it is one that came later, and starts at its beginning, not where Kafka says.
    expect(handled.filter((one) => one.startsWith('0'))).toEqual(['0@2', '0@3', '0@4']);
    expect(handled.filter((one) => one.startsWith('1'))).toEqual(['1@0', '1@1', '1@2', '1@3', '1@4']);
  });

  it('has records that it knows as finished settled without a call', async () => {
    const kafka = cluster(6);
    const handled: number[] = [];
    const worker = await started(kafka, {
      delivery: delivery({ session: () => ({ isFinished: ({ offset }) => offset === 1 || offset === 5 }) }),
      handler: ({ offset }) => handled.push(offset),
    });
    const { handled: count } = await stopped(kafka, worker);
    expect(handled).toEqual([0, 2, 3, 4]);
    expect(count).toBe(4);
    expect(kafka.committed('g', 't').get(0)).toBe(6);
  });

  it('is told what is finished above the next offset and what it does not know, until that is durable', async () => {
    const kafka = cluster(6);
    const known = new Set<number>();
    const commits: (readonly [number, readonly number[] | undefined])[] = [];
    const told: NextOffset[] = [];
    let refusals = 2;
    let release = (): void => {};
    const worker = await started(kafka, {
      concurrency: { kind: 'concurrency', name: 'all', lanes: { by: 'all', active: 1, inside: { width: 10 } } },
      delivery: delivery({
        session: () => ({
          async around(records, run) {
            await run();
            for (const { offset } of records) known.add(offset);
          },
          isFinished: ({ offset }) => known.has(offset),
          async commit({ partitions }) {
            // In any order.
            for (const { offset, finished } of partitions) commits.push([offset, finished?.toSorted((a, b) => a - b)]);
            const refused = partitions.filter(({ finished }) => finished !== undefined);
            if (refused.length === 0 || refusals-- <= 0) return;
            const failures = refused.map((one) => ({ ...one, kafkaCode: -1, reason: 'no' }));
            throw new CommitError(failures, { retriable: true });
          },
        }),
      }),
      onFailure: { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip' }) },
      plugins: [
        {
          name: 'keeps a failure to itself',
          aroundRecord: ({ offset }, _context, next) => (offset === 4 ? next().catch(() => {}) : next()),
        },
      ],
      handler: async ({ offset }) => {
        if (offset === 0)
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        if (offset === 2 || offset === 4) throw new Error('bad');
      },
    });
    worker.on('committed', ({ offsets }) => told.push(...offsets));
    await kafka.clock.advance(5_000);
    expect([...known].sort()).toEqual([1, 3, 5]);
    // What nobody has stored, however that came; and when it is stored, never again.
    expect(commits.filter(([, finished]) => finished !== undefined)).toEqual(Array(3).fill([0, [2, 4]]));
    release();
    await stopped(kafka, worker);
    expect(commits.at(-1)).toEqual([6, undefined]);
    expect(told.map((one) => Object.keys(one).sort())).toEqual(
      told.map(() => ['metadata', 'offset', 'partition', 'topic']),
    );
  });

  it('gives the context more when it runs the call, and learns what there would be to commit after it', async () => {
    const kafka = cluster(4);
    const seen: string[] = [];
    const progressed: (readonly NextOffset[])[] = [];
    const worker = await started(kafka, {
      delivery: delivery({
        session: () => ({
          async around([record], run, progress) {
            await run({ transaction: `tx${record?.offset}` });
            progressed.push(progress().partitions);
          },
        }),
      }),
      handler: ({ offset }, { transaction }) => seen.push(`${offset} in ${transaction}`),
    });
    await stopped(kafka, worker);
    expect(seen).toEqual(['0 in tx0', '1 in tx1', '2 in tx2', '3 in tx3']);
    expect(progressed.map(([one]) => one?.offset)).toEqual([1, 2, 3, 4]);
  });

  it('has a partition start again: what runs of it counts no more, no policy is asked, and it goes on where the store says', async () => {
    const kafka = cluster(4, 2);
    const handled: string[] = [];
    const ends: (() => void)[] = [];
    let restart: DeliveryContext['restart'] = () => {};
    let stored = 0;
    let refusals = 3;
    const failures: unknown[] = [];
    const worker = await started(kafka, {
      delivery: delivery({
        session: (context) => {
          restart = context.restart;
          return {
            startOffsets: async (partitions) => {
              if (stored > 0 && refusals-- > 0) throw new RetriableError('locked');
              return partitions.map((one) => ({ ...one, offset: one.partition === 0 ? stored : 0 }));
            },
          };
        },
      }),
      handler: async ({ partition, offset }, { signal }) => {
        handled.push(`${partition}@${offset}`);
        if (partition !== 0 || stored !== 0) return;
        await new Promise<void>((resolve) => void ends.push(resolve));
        expect(signal.aborted).toBe(true);
        throw new Error('interrupted');
      },
    });
    worker.on('failed', (event) => failures.push(event));
    const restarted: unknown[] = [];
    worker.on('restarted', ({ partitions }) => restarted.push(...partitions));
    expect(handled).toEqual(['0@0', '1@0', '1@1']);
    stored = 2;
    restart([at(0)], new Error('fenced'));
    expect(restarted).toEqual([at(0)]);
    for (const end of ends) end();
    await kafka.clock.advance(600);
    expect(worker.health().reasons.join()).toContain('t/0 has been starting again for 1 s: fenced');
    await kafka.clock.advance(5_000);
    expect(handled).toEqual(['0@0', '1@0', '1@1', '0@2', '0@3']);
    expect(failures).toEqual([]);
    expect(worker.health().reasons).toEqual([]);
    const { handled: count, error } = await stopped(kafka, worker);
    expect([count, error]).toEqual([4, undefined]);
    expect(kafka.committed('g', 't').get(0)).toBe(4);
  });

  it('does not start again what the group takes away meanwhile', async () => {
    const kafka = cluster(3);
    const handled: number[] = [];
    let restart: DeliveryContext['restart'] = () => {};
    let isLocked = false;
    const worker = await started(kafka, {
      delivery: delivery({
        session: (context) => {
          restart = context.restart;
          return {
            startOffsets: async () => {
              if (isLocked) throw new RetriableError('locked');
              return [];
            },
          };
        },
      }),
      handler: ({ offset }) => handled.push(offset),
    });
    isLocked = true;
    restart([at(0)], new Error('fenced'));
    await kafka.clock.advance(1_000);
    kafka.group('g').revoke([at(0)]);
    await kafka.clock.advance(2_000);
    isLocked = false;
    await kafka.clock.advance(5_000);
    expect(worker.status().partitions).toEqual([]);
    await stopped(kafka, worker);
    expect(handled).toEqual([0, 1, 2]);
  });

  it('ends the worker when it cannot say where a partition starts again', async () => {
    const kafka = cluster(1);
    let restart: DeliveryContext['restart'] = () => {};
    let isBroken = false;
    const worker = await started(kafka, {
      delivery: delivery({
        session: (context) => {
          restart = context.restart;
          return {
            startOffsets: async () => {
              if (isBroken) throw new Error('no such table');
              return [];
            },
          };
        },
      }),
      handler: () => {},
    });
    isBroken = true;
    const finished = expect(worker.finished).rejects.toThrow('no such table');
    restart([at(0)], new Error('fenced'));
    await kafka.clock.advance(60_000);
    await finished;
  });
});

describe('a delivery that does a call as a whole', () => {
  const skipPolicy: FailurePolicy = { kind: 'failure', name: 'skip', decide: () => ({ do: 'skip' }) };

  /** Writes down what becomes durable, call by call. */
  const atomic = (durable: number[][]): Delivery<Transaction> =>
    delivery({
      isAtomic: true,
      session: () => ({
        async around(records, run) {
          await run();
          durable.push(records.map(({ offset }) => offset));
        },
      }),
    });

  it('undoes a batch of which a record failed alone, and calls again without it', async () => {
    const kafka = cluster(5);
    const durable: number[][] = [];
    const calls: number[][] = [];
    const outcomes: string[] = [];
    const worker = new Worker<Buffer | null, Buffer | null, Transaction>({
      ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, onFailure: skipPolicy },
      delivery: atomic(durable),
      batchHandler: async (records, { fail }) => {
        calls.push(records.map(({ offset }) => offset));
        for (const record of records) if (record.offset === 2) fail(record, new Error('bad'));
      },
    });
    worker.on('settled', ({ record, outcome }) => outcomes.push(`${record.offset} ${outcome}`));
    const failed: number[][] = [];
    worker.on('failed', ({ records }) => failed.push(records.map(({ offset }) => offset)));
    await worker.start();
    await kafka.clock.advance(5_000);
    await stopped(kafka, worker);
    expect(failed).toEqual([[2]]);
    expect(calls).toEqual([
      [0, 1, 2, 3, 4],
      [0, 1, 3, 4],
    ]);
    expect(durable).toEqual([[0, 1, 3, 4]]);
    expect(outcomes).toEqual(['2 skipped', '0 handled', '1 handled', '3 handled', '4 handled']);
    expect(kafka.committed('g', 't').get(0)).toBe(5);
  });

  it('does so also when a plugin keeps the failure to itself', async () => {
    const kafka = cluster(3);
    const durable: number[][] = [];
    const worker = await started(kafka, {
      delivery: atomic(durable),
      onFailure: skipPolicy,
      plugins: [{ name: 'swallows', aroundBatch: (_records, _context, next) => next().catch(() => {}) }],
      handler: undefined as never,
      batchHandler: async (records, { fail }) => {
        const [bad] = records.filter(({ offset }) => offset === 1);
        if (bad !== undefined) fail(bad, new Error('bad'));
      },
    });
    const { handled, failed } = await stopped(kafka, worker);
    expect(durable).toEqual([[0, 2]]);
    expect([handled, failed]).toEqual([2, 1]);
  });

  it('tries failed records again by themselves, in their order', async () => {
    const kafka = cluster(4);
    const durable: number[][] = [];
    const worker = await started(kafka, {
      delivery: atomic(durable),
      onFailure: { kind: 'failure', name: 'again', decide: () => ({ do: 'retry', afterMs: 100 }) },
      handler: undefined as never,
      batchHandler: async (records, { attempt, fail }) => {
        if (attempt > 1) return;
        for (const record of [...records].reverse()) if (record.offset % 2 === 1) fail(record, new Error('bad'));
      },
    });
    await stopped(kafka, worker);
    expect(durable).toEqual([
      [0, 2],
      [1, 3],
    ]);
    expect(kafka.committed('g', 't').get(0)).toBe(4);
  });

  it('takes no failure of a record once the handler has returned', async () => {
    const kafka = cluster(1);
    let late: unknown;
    let fail = (): void => {};
    const worker = await started(kafka, {
      delivery: delivery({
        isAtomic: true,
        session: () => ({
          async around(_records, run) {
            await run();
            try {
              fail();
            } catch (error) {
              late = error;
            }
          },
        }),
      }),
      handler: undefined as never,
      batchHandler: (records, context) => {
        const [record] = records;
        fail = () => record !== undefined && context.fail(record, new Error('late'));
      },
    });
    const { handled, failed } = await stopped(kafka, worker);
    expect(late).toMatchObject({ code: 'ILLEGAL_STATE' });
    expect([handled, failed]).toEqual([1, 0]);
  });
});

describe('what a delivery refuses', () => {
  it('is refused when the worker is made', () => {
    const refusing = delivery({
      check: ({ handlerTimeoutMs = 0, isThreaded }) => {
        if (handlerTimeoutMs > 10) throw new InvalidOptionError('handlerTimeoutMs', 'at most 10', handlerTimeoutMs);
        expect(isThreaded).toBe(false);
      },
    });
    const make = (handlerTimeoutMs: number) =>
      new Worker<Buffer | null, Buffer | null, Transaction>({
        ...{ kafka: cluster(1), groupId: 'g', topics: 't', delivery: refusing, handlerTimeoutMs, handler: () => {} },
      });
    expect(() => make(11)).toThrow('handlerTimeoutMs: expected at most 10, received 11');
    expect(() => make(10)).not.toThrow();
  });

  it('is thrown at a handler that sends', async () => {
    const kafka = cluster(1);
    const worker = await started(kafka, {
      delivery: delivery({ refusesSends: 'write it to a table' }),
      handler: (_record, { send }) => send({ topic: 'out', value: 'x' }),
    });
    await expect(worker.finished).rejects.toThrow('context.send does not go with own: write it to a table');
  });
});
