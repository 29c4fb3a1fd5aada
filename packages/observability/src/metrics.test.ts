import { afterEach, describe, expect, it } from '@jest/globals';
import { type Plugin, Worker, type WorkerOptions } from '@kafka-worker/core';
import { type FakeKafka, fakeKafka } from '@kafka-worker/core/testing';
import { deadLetter, freezePartition, perKey, retry, skip, stop } from '@kafka-worker/strategies';
import { type OpenMetricsContentType, Registry, type RegistryContentType } from 'prom-client';
import { type MetricsOptions, metrics } from './metrics.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

function clusterWith(...values: readonly string[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: 1 }, dead: { partitions: 1 } } });
  kafka.send(values.map((value) => ({ topic: 't', key: value, value })));
  return kafka;
}

/** A worker that runs, and what ends it. */
async function started(kafka: FakeKafka, options: Partial<WorkerOptions>, plugin: Plugin): Promise<Worker> {
  const worker = new Worker({
    ...{ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, onFailure: stop(), plugins: [plugin] },
    ...{ concurrency: perKey({ concurrency: 10 }), handler: () => {}, ...options },
  } as WorkerOptions);
  worker.finished.catch(() => {});
  const starting = worker.start();
  await kafka.clock.advance(10);
  await starting;
  await kafka.clock.advance(5_000);
  cleanups.push(async () => stopped(kafka, worker));
  return worker;
}

async function stopped(kafka: FakeKafka, worker: Worker): Promise<void> {
  const stopping = worker.stop({ timeoutMs: 1_000 });
  await kafka.clock.advance(60_000);
  await stopping;
}

/** The samples of a registry by name and labels, as Prometheus gets them. */
async function scrape(registry: Registry<RegistryContentType>): Promise<ReadonlyMap<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const samples = lines.map(
    (line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))] as const,
  );
  expect(new Set(samples.map(([name]) => name)).size).toBe(samples.length);
  return new Map(samples);
}

const noisy = (kafka: FakeKafka): Partial<WorkerOptions> => ({
  // What the values say is done.
  handler: async ({ value }, { attempt }) => {
    await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 20));
    const what = String(value);
    if (what === 'twice' ? attempt === 1 : what !== 'fine') throw new Error(what);
  },
  onFailure: retry({
    maxAttempts: 2,
    backoff: { initialMs: 10 },
    when: (error) => (error as Error).message === 'twice',
    then: deadLetter({ topic: 'dead' }),
  }),
});

describe('metrics', () => {
  it('count what becomes of records and calls, and how long they take', async () => {
    const registry = new Registry();
    const kafka = clusterWith('fine', 'twice', 'dead');
    await started(kafka, noisy(kafka), metrics({ registry }));
    const samples = await scrape(registry);
    expect(Object.fromEntries(samples)).toMatchObject({
      'kafka_worker_records_received_total{worker="g"}': 3,
      'kafka_worker_records_total{worker="g",topic="t",outcome="handled"}': 2,
      'kafka_worker_records_total{worker="g",topic="t",outcome="dead-lettered"}': 1,
      'kafka_worker_records_total{worker="g",topic="t",outcome="skipped"}': 0,
      'kafka_worker_handler_failures_total{worker="g",topic="t",decision="retry"}': 1,
      'kafka_worker_handler_failures_total{worker="g",topic="t",decision="dead-letter"}': 1,
      'kafka_worker_handler_duration_seconds_bucket{worker="g",topic="t",le="0.01"}': 0,
      'kafka_worker_handler_duration_seconds_bucket{worker="g",topic="t",le="0.05"}': 3,
      'kafka_worker_handler_duration_seconds_bucket{worker="g",topic="t",le="+Inf"}': 3,
      'kafka_worker_handler_duration_seconds_count{worker="g",topic="t"}': 3,
      'kafka_worker_rebalance_events_total{worker="g",change="assigned"}': 1,
      'kafka_worker_partition_frontier_offset{worker="g",topic="t",partition="0"}': 3,
      'kafka_worker_partition_committed_offset{worker="g",topic="t",partition="0"}': 3,
      'kafka_worker_partition_lag{worker="g",topic="t",partition="0"}': 0,
      'kafka_worker_records_in_flight{worker="g"}': 0,
      'kafka_worker_state{worker="g",state="running"}': 1,
      'kafka_worker_live{worker="g"}': 1,
      'kafka_worker_ready{worker="g"}': 1,
    });
    expect(samples.get('kafka_worker_handler_duration_seconds_sum{worker="g",topic="t"}')).toBeCloseTo(0.06, 2);
    expect(samples.get('kafka_worker_commit_duration_seconds_count{worker="g"}')).toBeGreaterThan(0);
    expect(samples.get('kafka_worker_loop_seconds_total{worker="g",phase="idle"}')).toBeGreaterThan(1);
  });

  it('tell what stands still, and for how long', async () => {
    const registry = new Registry();
    const kafka = clusterWith('bad', 'fine');
    await started(kafka, { ...noisy(kafka), onFailure: freezePartition() }, metrics({ registry }));
    await kafka.clock.advance(30_000);
    const samples = await scrape(registry);
    expect(Object.fromEntries(samples)).toMatchObject({
      'kafka_worker_partition_frozen{worker="g",topic="t",partition="0"}': 1,
      'kafka_worker_partition_lag{worker="g",topic="t",partition="0"}': 2,
      'kafka_worker_handler_failures_total{worker="g",topic="t",decision="freeze"}': 1,
    });
    expect(samples.get('kafka_worker_partition_still_seconds{worker="g",topic="t",partition="0"}')).toBeGreaterThan(25);
  });

  it('count batches, their records and their time, those that fail too', async () => {
    const registry = new Registry();
    const kafka = clusterWith('a', 'a', 'b');
    let calls = 0;
    const batchHandler = async (): Promise<void> => {
      if (++calls === 1) throw new Error('the first');
    };
    const onFailure = retry({ maxAttempts: 2, backoff: { initialMs: 10 }, then: skip() });
    const options = { handler: undefined, batchHandler, onFailure } as unknown as Partial<WorkerOptions>;
    await started(kafka, options, metrics({ registry }));
    expect(Object.fromEntries(await scrape(registry))).toMatchObject({
      'kafka_worker_batch_duration_seconds_count{worker="g"}': calls,
      'kafka_worker_batch_records_total{worker="g"}': 5,
    });
    expect(calls).toBe(3);
  });

  it('of several workers share a registry, and go away with their worker', async () => {
    const registry = new Registry();
    const kafka = clusterWith('fine');
    const one = await started(kafka, { name: 'one' }, metrics({ registry }));
    await started(kafka, { name: 'two', groupId: 'h' }, metrics({ registry }));
    expect([...(await scrape(registry)).keys()].filter((name) => name.startsWith('kafka_worker_live'))).toEqual([
      'kafka_worker_live{worker="one"}',
      'kafka_worker_live{worker="two"}',
    ]);
    await stopped(kafka, one);
    const left = [...(await scrape(registry)).keys()];
    expect(left.filter((name) => name.includes('"one"'))).toEqual([]);
    expect(left.filter((name) => name.includes('"two"')).length).toBeGreaterThan(20);
  });

  it('of topics that come and go do not grow without a bound, and those of what is owned stay', async () => {
    const registry = new Registry();
    const topics = Array.from({ length: 150 }, (_, i) => `t${i}`);
    const kafka = fakeKafka({ topics: Object.fromEntries(topics.map((topic) => [topic, { partitions: 1 }])) });
    kafka.send(topics.map((topic) => ({ topic, value: 'fine' })));
    await started(kafka, { topics }, metrics({ registry }));
    const counted = async (): Promise<string[]> =>
      [...(await scrape(registry)).keys()].flatMap(
        (name) => /records_total\{worker="g",topic="(\w+)",outcome="handled"/.exec(name)?.[1] ?? [],
      );
    expect(await counted()).toHaveLength(150);
    kafka.group('g').revoke(topics.slice(0, 140).map((topic) => ({ topic, partition: 0 })));
    await kafka.clock.advance(5_000);
    expect((await counted()).sort()).toEqual(topics.slice(40).sort());
  });

  it('of dead letters that a policy makes up topics for do not either', async () => {
    const registry = new Registry();
    const kafka = clusterWith(...Array.from({ length: 120 }, (_, i) => `v${i}`));
    kafka.failSends(120, { retriable: true });
    const options = {
      concurrency: perKey({ concurrency: 120 }),
      handler: () => {
        throw new Error('no');
      },
      onFailure: deadLetter({ topic: ({ record }) => `dead-${record.offset}`, brake: false }),
    };
    await started(kafka, options, metrics({ registry }));
    const names = [...(await scrape(registry)).keys()].filter((name) => name.includes('dead_letter_failures_total'));
    expect(names).toHaveLength(101);
    expect(names).toContain('kafka_worker_dead_letter_failures_total{worker="g",topic="OTHER"}');
  });

  it('have the same names in a registry of OpenMetrics, declared as that format has it', async () => {
    const kafka = clusterWith('fine');
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    await started(kafka, {}, metrics({ registry }));
    const text = await registry.metrics();
    expect(text).toContain('# TYPE kafka_worker_records counter\nkafka_worker_records_total{worker="g",topic="t",');
    expect(text).not.toContain('_total_total');
    expect([...(await scrape(registry)).keys()]).toEqual(
      expect.arrayContaining([
        'kafka_worker_live{worker="g"}',
        'kafka_worker_commit_duration_seconds_count{worker="g"}',
      ]),
    );
  });

  it('are there again for the next worker when somebody has cleared the registry', async () => {
    const registry = new Registry();
    const kafka = clusterWith('fine');
    const one = await started(kafka, { name: 'one' }, metrics({ registry }));
    await stopped(kafka, one);
    registry.clear();
    await started(kafka, { name: 'two' }, metrics({ registry }));
    expect([...(await scrape(registry)).keys()]).toContain('kafka_worker_live{worker="two"}');
  });

  it('are tried again as a whole when the registry refused one of them', async () => {
    const registry = new Registry();
    const register = registry.registerMetric.bind(registry);
    let left = 3;
    registry.registerMetric = (metric) => {
      if (left-- === 0) throw new Error('full');
      register(metric);
    };
    const kafka = clusterWith('fine');
    await started(kafka, { name: 'one' }, metrics({ registry }));
    expect(await scrape(registry)).toEqual(new Map());
    await started(kafka, { name: 'two', groupId: 'h' }, metrics({ registry }));
    expect([...(await scrape(registry)).keys()]).toContain('kafka_worker_live{worker="two"}');
  });

  it.each([
    [
      'has metrics of the same names',
      (registry: Registry) => registry.registerMetric({ name: 'kafka_worker_live', get: async () => ({}) } as never),
      'has a metric kafka_worker_live already',
    ],
    [
      'throws',
      (registry: Registry) =>
        Object.assign(registry, {
          registerMetric: () => {
            throw new Error('full');
          },
        }),
      'full',
    ],
  ])('leave the worker alone, and say why, when the registry %s', async (_what, spoil, why) => {
    const registry = new Registry();
    spoil(registry);
    const kafka = clusterWith('fine');
    const errors: string[] = [];
    const listening: Plugin = {
      name: 'listening',
      listeners: { error: ({ error }) => void errors.push(error.message) },
    };
    const worker = new Worker({
      kafka,
      groupId: 'g',
      topics: 't',
      clock: kafka.clock,
      logger: quiet,
      handler: () => {},
      plugins: [metrics({ registry }), listening],
    });
    const starting = worker.start();
    await kafka.clock.advance(10);
    await starting;
    await stopped(kafka, worker);
    expect([errors.length, errors[0]]).toEqual([1, expect.stringContaining(why)]);
    expect(kafka.committed('g', 't').get(0)).toBe(1);
  });

  it('of a second worker with the same name are refused: nobody could tell them apart', async () => {
    const registry = new Registry();
    const kafka = clusterWith('fine');
    await started(kafka, {}, metrics({ registry }));
    const errors: string[] = [];
    const plugin = metrics({ registry });
    await started(
      kafka,
      { plugins: [plugin, { name: 'l', listeners: { error: ({ error }) => void errors.push(error.message) } }] },
      plugin,
    );
    expect(errors).toEqual([expect.stringContaining('give each worker a name of its own')]);
  });

  it.each([
    [undefined, 'options'],
    [{}, 'registry'],
    [{ registry: {} }, 'registry'],
    [{ registry: new Registry(), prefix: '1-' }, 'prefix'],
    [{ registry: new Registry(), labels: [] }, 'labels'],
  ])('refuse options that are none: %p', (options, option) => {
    expect(() => metrics(options as MetricsOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(option) }),
    );
  });
});
