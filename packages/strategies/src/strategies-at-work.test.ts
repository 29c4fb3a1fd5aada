import { describe, expect, it } from '@jest/globals';
import type { Logger, WorkerOptions, WorkerSummary } from '@kafka-worker/core';
import { NonRetriableError, Worker } from '@kafka-worker/core';
import type { FakeKafka } from '@kafka-worker/core/testing';
import { fakeKafka } from '@kafka-worker/core/testing';
import { atLeastOnce, limited, parallel, perKey, perPartition, retry, serial, skip, stop } from './index.ts';

const PARTITIONS = 3;
const RECORDS = 4;
const CALL_MS = 10;

function cluster(): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: PARTITIONS } } });
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (let i = 0; i < RECORDS; i++) kafka.send([{ topic: 't', partition, value: `${i}` }]);
  }
  return kafka;
}

interface Observed {
  readonly summary: WorkerSummary;
  /** `partition:offset`, in the order in which the calls began. */
  readonly calls: readonly string[];
  readonly maxConcurrent: number;
  readonly errorLines: readonly string[];
  readonly virtualMs: number;
}

/** Runs a worker until everything is committed, or it has ended, or ten virtual minutes are over. */
async function observe(
  kafka: FakeKafka,
  options: Pick<WorkerOptions, 'concurrency' | 'onFailure' | 'delivery'>,
  failure: (place: string, attempt: number) => unknown = () => undefined,
): Promise<Observed> {
  const clock = kafka.clock;
  const calls: string[] = [];
  const errorLines: string[] = [];
  const logger: Logger = { debug() {}, info() {}, warn() {}, error: (message) => void errorLines.push(message) };
  let active = 0;
  let maxConcurrent = 0;
  const worker = new Worker({
    ...options,
    kafka,
    groupId: 'g',
    topics: 't',
    clock,
    logger,
    random: () => 0,
    handler: async ({ partition, offset }, { attempt }) => {
      const place = `${partition}:${offset}`;
      calls.push(place);
      maxConcurrent = Math.max(maxConcurrent, ++active);
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, CALL_MS));
      active--;
      const error = failure(place, attempt);
      if (error !== undefined) throw error;
    },
  });
  const startMs = clock.now();
  const started = worker.start();
  let hasEnded = false;
  const end = (): void => {
    hasEnded = true;
  };
  worker.finished.then(end, end);
  const isDone = (): boolean =>
    [...kafka.committed('g', 't').values()].filter((offset) => offset === RECORDS).length === PARTITIONS;
  while (!hasEnded && !isDone() && clock.now() - startMs < 600_000) await clock.advance(100);
  const virtualMs = clock.now() - startMs;
  const stopping = worker.stop();
  await clock.advance(60_000);
  await started;
  return { summary: await stopping, calls, maxConcurrent, errorLines, virtualMs };
}

function committed(kafka: FakeKafka): (number | undefined)[] {
  const offsets = kafka.committed('g', 't');
  return Array.from({ length: PARTITIONS }, (_, partition) => offsets.get(partition));
}

describe('a worker', () => {
  it('calls its handler once at a time under serial', async () => {
    const kafka = cluster();
    const { summary, maxConcurrent, calls } = await observe(kafka, { concurrency: serial() });
    expect(summary).toMatchObject({ handled: PARTITIONS * RECORDS, failed: 0 });
    expect(maxConcurrent).toBe(1);
    expect(calls.filter((place) => place.startsWith('1:'))).toEqual(['1:0', '1:1', '1:2', '1:3']);
  });

  it('works on all partitions at once under perPartition, and in order in each', async () => {
    const { maxConcurrent, calls } = await observe(cluster(), { concurrency: perPartition(), delivery: atLeastOnce() });
    expect(maxConcurrent).toBe(PARTITIONS);
    expect(calls.filter((place) => place.startsWith('2:'))).toEqual(['2:0', '2:1', '2:2', '2:3']);
  });

  it('works on no more partitions at once than perPartition says', async () => {
    const { maxConcurrent, summary } = await observe(cluster(), { concurrency: perPartition({ concurrency: 2 }) });
    expect(maxConcurrent).toBe(2);
    expect(summary.handled).toBe(PARTITIONS * RECORDS);
  });

  it('passes over and counts what fails under skip, with a line in the log if it is wanted', async () => {
    const fails = (place: string): unknown => (place === '1:2' ? new Error('no') : undefined);
    const kafka = cluster();
    const { summary, errorLines } = await observe(kafka, { onFailure: skip() }, fails);
    expect(summary).toMatchObject({ handled: PARTITIONS * RECORDS - 1, failed: 1 });
    expect(committed(kafka)).toEqual([RECORDS, RECORDS, RECORDS]);
    expect(errorLines).toHaveLength(1);
    expect((await observe(cluster(), { onFailure: skip({ log: false }) }, fails)).errorLines).toEqual([]);
  });

  it('ends under stop with the failed record not committed, and a new one begins with it', async () => {
    const kafka = cluster();
    const first = await observe(kafka, { concurrency: serial(), onFailure: stop() }, (place) =>
      place === '1:2' ? 'no' : undefined,
    );
    expect(first.summary).toMatchObject({ state: 'failed', error: { code: 'HANDLER', partition: 1, offset: 2 } });
    expect(committed(kafka)[1]).toBe(2);
    const second = await observe(kafka, { onFailure: stop() });
    expect(second.calls.filter((place) => place.startsWith('1:'))).toEqual(['1:2', '1:3']);
    expect(committed(kafka)).toEqual([RECORDS, RECORDS, RECORDS]);
  });

  it('repeats a call under retry until it succeeds, and keeps the order of its partition', async () => {
    const onFailure = retry({ maxAttempts: 3, backoff: { initialMs: 1_000, jitter: 0 }, then: stop() });
    const { summary, calls, virtualMs } = await observe(cluster(), { onFailure }, (place, attempt) =>
      place === '0:1' && attempt < 3 ? new Error('busy') : undefined,
    );
    expect(summary).toMatchObject({ handled: PARTITIONS * RECORDS, failed: 0 });
    expect(calls.filter((place) => place.startsWith('0:'))).toEqual(['0:0', '0:1', '0:1', '0:1', '0:2', '0:3']);
    expect(virtualMs).toBeGreaterThanOrEqual(3_000);
  });

  it('goes on to the next policy when attempts are used up, or at once when another one is of no use', async () => {
    const onFailure = retry({ maxAttempts: 2, backoff: { initialMs: 10 }, then: skip({ log: false }) });
    const { summary, calls } = await observe(cluster(), { onFailure }, (place) => {
      if (place === '0:1') return new Error('always');
      return place === '1:1' ? new NonRetriableError('never') : undefined;
    });
    expect(summary).toMatchObject({ handled: PARTITIONS * RECORDS - 2, failed: 2 });
    expect(calls.filter((place) => place === '0:1')).toHaveLength(2);
    expect(calls.filter((place) => place === '1:1')).toHaveLength(1);
  });
});

describe('a worker with a standing backlog', () => {
  const KEYS = 40;

  function backlog(partitions: number, records: number): FakeKafka {
    const kafka = fakeKafka({ topics: { t: { partitions } } });
    for (let i = 0; i < records; i++)
      kafka.send([{ topic: 't', partition: i % partitions, key: `${i % KEYS}`, value: `${i}` }]);
    return kafka;
  }

  /** Starts a worker, and stops it when `during` is done. */
  async function work(
    options: Pick<WorkerOptions, 'concurrency' | 'limits' | 'handler'> & { readonly kafka: FakeKafka },
    during: () => Promise<void>,
  ): Promise<void> {
    const { clock } = options.kafka;
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const worker = new Worker({ ...options, groupId: 'g', topics: 't', clock, logger });
    const started = worker.start();
    await clock.advance(0);
    await started;
    await during();
    const stopping = worker.stop({ timeoutMs: 10 });
    await clock.advance(60_000);
    await stopping;
  }

  it('starts its calls evenly spread over the second under perSecond, however many may run', async () => {
    const kafka = backlog(4, 200);
    const starts: number[] = [];
    const handler = async (): Promise<void> => {
      starts.push(kafka.clock.now());
      await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 130));
    };
    const concurrency = limited('unlimited', parallel(), { perSecond: 50 });
    await work({ kafka, concurrency, handler }, () => kafka.clock.advance(5_000));
    expect(starts).toHaveLength(200);
    const apart = starts.slice(1).map((at, i) => at - (starts[i] ?? 0));
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(19);
    expect(Math.max(...apart)).toBeLessThanOrEqual(21);
    expect((starts.at(-1) ?? 0) - (starts[0] ?? 0)).toBeLessThanOrEqual(4_000);
  });

  it.each([
    ['less', 100],
    ['much more', 10_000],
  ])(
    'keeps the calls of a turn busy, and gives each partition its share, with %s in flight than a turn takes',
    async (_what, inFlightRecords) => {
      const kafka = backlog(4, 8_000);
      const running = new Map<number, number>();
      const begun = [0, 0, 0, 0];
      const handler = async ({ partition, offset }: { partition: number; offset: number }): Promise<void> => {
        begun[partition] = (begun[partition] ?? 0) + 1;
        running.set(partition, (running.get(partition) ?? 0) + 1);
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 4 + ((offset * 7) % 13)));
        running.set(partition, (running.get(partition) ?? 0) - 1);
      };
      const concurrency = perPartition({ concurrency: 1, within: perKey({ concurrency: 3 }) });
      const samples: number[] = [];
      let mostPartitions = 0;
      // A turn of a second is some 300 records.
      await work({ kafka, concurrency, handler, limits: { inFlightRecords } }, async () => {
        for (let i = 0; i < 1_200; i++) {
          await kafka.clock.advance(10);
          const calls = [...running.values()].filter((count) => count > 0);
          mostPartitions = Math.max(mostPartitions, calls.length);
          samples.push(calls.reduce((sum, count) => sum + count, 0));
        }
      });
      expect(mostPartitions).toBe(1);
      expect(samples.filter((count) => count === 3).length).toBeGreaterThanOrEqual(samples.length * 0.9);
      const mean = begun.reduce((sum, count) => sum + count, 0) / begun.length;
      for (const count of begun) expect(Math.abs(count - mean)).toBeLessThanOrEqual(mean * 0.2);
    },
  );
});
