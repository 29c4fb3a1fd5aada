import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Clock, PollError, type ReceivedRecord, Worker, type WorkerOptions } from '@kafka-worker/core';
import { fakeKafka } from '@kafka-worker/core/testing';
import { perKey } from '@kafka-worker/strategies';
import { Registry } from 'prom-client';
import { metrics } from './metrics.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const p0 = { topic: 't', partition: 0 };
const p1 = { topic: 't', partition: 1 };
let end: (() => Promise<void>) | undefined;
afterEach(async () => {
  await end?.();
  end = undefined;
});

/**
 * A worker that runs two keys at once and has been idle for 5 s. Records with the value `held` are handled until `finish` is called; those with `stuck`
 * for ever; the others at once.
 */
async function idle(options: Partial<WorkerOptions> = {}) {
  const kafka = fakeKafka({ topics: { t: { partitions: 2 } } });
  const registry = new Registry();
  const worked = { ms: 0 };
  // Virtual time stands still while something is called: what takes time then is added.
  const clock: Clock = {
    now: () => kafka.clock.now() + worked.ms,
    setTimeout: (run, ms) => kafka.clock.setTimeout(run, ms),
  };
  const running = new Set<() => void>();
  const worker = new Worker({
    ...{ kafka, groupId: 'g', topics: 't', clock, logger: quiet, plugins: [metrics({ registry })] },
    ...{ concurrency: perKey({ concurrency: 2 }), stuckAfterMs: 1_000, onStuckHandler: 'release' },
    handler: ({ value }, { signal }) => {
      if (String(value) === 'stuck') return new Promise<void>(() => {});
      if (String(value) !== 'held') return;
      return new Promise<void>((resolve) => {
        running.add(resolve);
        signal.addEventListener('abort', () => resolve());
      });
    },
    ...options,
  } as WorkerOptions);
  worker.finished.catch(() => {});
  end = async () => {
    const stopping = worker.stop({ timeoutMs: 1_000 });
    await kafka.clock.advance(60_000);
    await stopping;
  };
  const starting = worker.start();
  await kafka.clock.settle();
  await starting;
  await kafka.clock.advance(5_000);
  return {
    ...{ kafka, worker, worked },
    advance: (ms: number): Promise<void> => kafka.clock.advance(ms),
    /** Sends records to partition 0; the bytes that each counts for. */
    send: (...records: readonly { readonly key: string; readonly value: string }[]): number[] =>
      kafka.send(records.map((one) => ({ ...p0, ...one }))).map((one) => (one as ReceivedRecord).sizeBytes),
    finish: (): void => {
      for (const resolve of running) resolve();
    },
    /** The values of a metric: by its labels, without that of the worker. */
    async told(metric: string): Promise<Record<string, number>> {
      const samples = (await registry.metrics()).matchAll(
        new RegExp(`^kafka_worker_${metric}{(?:worker="g")?,?(.*)} (\\S+)$`, 'gm'),
      );
      return Object.fromEntries(Array.from(samples, ([, labels = '', value]) => [labels, Number(value)]));
    },
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

describe('the values of metrics are', () => {
  it('lanes with records and calls that run, each counted for itself, and bytes as the records say', async () => {
    const { send, finish, advance, told } = await idle();
    const sizes = send(
      { key: 'done', value: 'of some length' },
      ...['a', 'b', 'a', 'c', 'd'].map((key) => ({ key, value: 'held' })),
    );
    await advance(100);
    expect(new Set(sizes).size).toBeGreaterThan(1);
    expect(await told('records_received_total')).toEqual({ '': 6 });
    expect(await told('received_bytes_total')).toEqual({ '': sum(sizes) });
    expect(await told('records_in_flight')).toEqual({ '': 5 });
    expect(await told('bytes_in_flight')).toEqual({ '': sum(sizes.slice(1)) });
    expect(await told('lanes')).toEqual({ '': 4 });
    expect(await told('handler_calls_running')).toEqual({ '': 2 });
    for (let round = 0; round < 5; round++) {
      finish();
      await advance(100);
    }
    const [more = 0] = send({ key: 'done', value: 'of another poll' });
    await advance(100);
    expect(await told('received_bytes_total')).toEqual({ '': sum(sizes) + more });
    for (const metric of ['records_in_flight', 'bytes_in_flight', 'lanes', 'handler_calls_running'])
      expect([metric, await told(metric)]).toEqual([metric, { '': 0 }]);
  });

  it("the loop's time by what it went into, in seconds", async () => {
    const { kafka, worker, worked, send, advance, told } = await idle();
    const before = await told('loop_seconds_total');
    expect(before).toEqual({ 'phase="poll"': 0, 'phase="idle"': 5, 'phase="dispatch"': 0, 'phase="commit"': 0 });
    worker.on('polled', () => {
      worked.ms += 40;
    });
    const commits = kafka.hold('commit');
    await advance(400);
    send({ key: 'a', value: 'fine' });
    await commits.arrived();
    await advance(250);
    commits.release();
    await advance(0);
    const { 'phase="idle"': _, ...spent } = await told('loop_seconds_total');
    const inMs = Object.entries(spent).map(([phase, seconds]) => [phase, Math.round(seconds * 1_000)]);
    expect(Object.fromEntries(inMs)).toEqual({
      'phase="poll"': 400,
      'phase="dispatch"': 40,
      'phase="commit"': 250,
    });
    expect((await told('commit_duration_seconds_sum'))['']).toBeCloseTo(0.25);
  });

  it('commits that failed', async () => {
    const { kafka, send, advance, told } = await idle();
    expect(await told('commit_failures_total')).toEqual({ '': 0 });
    kafka.failCommits(2, { kafkaCode: 14, retriable: true });
    send({ key: 'a', value: 'fine' });
    await advance(60_000);
    expect(await told('commit_failures_total')).toEqual({ '': 2 });
    expect(kafka.committed('g', 't').get(0)).toBe(1);
  });

  it('partitions that are paused, and no others', async () => {
    const { worker, advance, told } = await idle();
    const labels = (partition: number): string => `topic="t",partition="${partition}"`;
    worker.pause([p1]);
    expect(await told('partition_paused')).toEqual({ [labels(0)]: 0, [labels(1)]: 1 });
    worker.resume([p1]);
    await advance(10);
    expect(await told('partition_paused')).toEqual({ [labels(0)]: 0, [labels(1)]: 0 });
  });

  it('assignments, revocations and losses, each counted for itself, and how long a drain took', async () => {
    const { kafka, send, finish, advance, told } = await idle();
    send({ key: 'a', value: 'held' });
    await advance(100);
    kafka.group('g').revoke([p0]);
    await advance(300);
    finish();
    await advance(1_000);
    expect(await told('rebalance_events_total')).toEqual({
      'change="assigned"': 1,
      'change="revoked"': 1,
      'change="lost"': 0,
    });
    expect((await told('revoke_drain_seconds_sum'))['']).toBeCloseTo(0.3);
    kafka.group('g').assign([p0]);
    await advance(1_000);
    kafka.group('g').lose([p0]);
    await advance(1_000);
    kafka.group('g').lose([p1]);
    await advance(1_000);
    kafka.group('g').assign([p0]);
    await advance(1_000);
    expect(await told('rebalance_events_total')).toEqual({
      'change="assigned"': 3,
      'change="revoked"': 1,
      'change="lost"': 2,
    });
    // What is lost is not drained.
    expect(await told('revoke_drain_seconds_count')).toEqual({ '': 1 });
    const { 'le="0.25"': below, 'le="0.5"': within } = await told('revoke_drain_seconds_bucket');
    expect([below, within]).toEqual([0, 1]);
  });

  it('handlers that ignore their aborted signal, and not those that obey it', async () => {
    const { kafka, send, advance, told } = await idle();
    send({ key: 'a', value: 'stuck' }, { key: 'b', value: 'held' });
    await advance(100);
    kafka.group('g').lose([p0]);
    await advance(900);
    expect(await told('stuck_handlers_total')).toEqual({ '': 0 });
    await advance(10_000);
    expect(await told('stuck_handlers_total')).toEqual({ '': 1 });
  });

  it("errors by the library's code, and those that have none together", async () => {
    const { kafka, worker, send, advance, told } = await idle();
    expect(await told('errors_total')).toEqual({});
    kafka.fail('poll', 2, () => new PollError('the test says so', { retriable: true }));
    await advance(10_000);
    worker.on('settled', () => {
      throw new RangeError('a listener');
    });
    send(...['a', 'b', 'c'].map((key) => ({ key, value: 'fine' })));
    await advance(1_000);
    expect(await told('errors_total')).toEqual({ 'code="POLL"': 2, 'code="OTHER"': 3 });
  });

  it('how late the event loop was, in seconds', async () => {
    const { told } = await idle();
    const startedAt = performance.now();
    const late: Record<string, number> = {};
    // Until the histogram has seen it: it looks from time to time, in real time.
    while (!((late['stat="max"'] ?? 0) > 0.1)) {
      await sleep(200);
      const until = performance.now() + 200;
      while (performance.now() < until);
      await sleep(50);
      Object.assign(late, await told('event_loop_delay_seconds'));
    }
    const { 'stat="mean"': mean = -1, 'stat="p99"': p99 = -1, 'stat="max"': max = -1, ...others } = late;
    expect(others).toEqual({});
    expect(max).toBeLessThan((performance.now() - startedAt) / 1_000);
    expect(p99).toBeLessThanOrEqual(max);
    expect(mean).toBeGreaterThanOrEqual(0);
    expect(mean).toBeLessThan(max);
  });
});
