import { describe, expect, it } from '@jest/globals';
import type { ConcurrencyStrategy } from './concurrency.ts';
import { ClientError, CommitError, IllegalStateError, PollError } from './errors.ts';
import type { FailurePolicy } from './failure.ts';
import { retryPolicy } from './retry-policy.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { WorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const stop: FailurePolicy = { kind: 'failure', name: 'stop', decide: () => ({ do: 'stop' }) };
const serial: ConcurrencyStrategy = {
  ...{ kind: 'concurrency', name: 'serial' },
  lanes: { by: 'all', active: 1, inside: { width: 1 } },
};
const p = (partition: number) => ({ topic: 't', partition });

function clusterWith(values: readonly string[], partitions = 1): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions } } });
  kafka.send(values.map((value, i) => ({ topic: 't', partition: i % partitions, value })));
  return kafka;
}

const common = (kafka: FakeKafka) => ({ kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet }) as const;

describe('a worker in trouble', () => {
  it('ends when the client cannot seek, for nobody knows where it reads on from', async () => {
    const kafka = clusterWith(['a', 'b', 'c']);
    const worker = new Worker({ ...common(kafka), handler: () => {} });
    worker.finished.catch(() => {});
    await worker.start();
    await kafka.clock.advance(2_000);
    kafka.fail('seek', 1, () => new PollError('no', { retriable: true }));
    const sought = expect(worker.seek(p(0), 0)).rejects.toThrow(PollError);
    await kafka.clock.advance(10_000);
    await sought;
    await expect(worker.finished).rejects.toThrow(ClientError);
    expect(kafka.committed('g', 't').get(0)).toBe(3);
  });

  it('stops in the middle of a seek, whatever becomes of that, and refuses one that has not begun', async () => {
    const kafka = clusterWith(['a', 'b', 'c']);
    const worker = new Worker({ ...common(kafka), handler: () => {} });
    await worker.start();
    await kafka.clock.advance(2_000);
    const hold = kafka.hold('seek');
    const first = worker.seek(p(0), 1).catch((error: unknown) => error);
    const second = worker.seek(p(0), 2).catch((error: unknown) => error);
    await kafka.clock.advance(10);
    const stopping = worker.stop();
    await kafka.clock.advance(60_000);
    await stopping;
    hold.release();
    await kafka.clock.advance(60_000);
    await first;
    expect(await second).toBeInstanceOf(IllegalStateError);
    expect(kafka.clock.pendingTimers).toBe(0);
  });

  it('says so when the last commit is refused', async () => {
    const kafka = clusterWith(['a']);
    const worker = new Worker({ ...common(kafka), handler: () => {}, commit: { everyMs: 60_000 } });
    await worker.start();
    await kafka.clock.advance(10);
    kafka.failCommits(10, { kafkaCode: 29, retriable: false });
    const summary = await worker.stop();
    expect(summary).toMatchObject({ state: 'failed', handled: 1 });
    expect(summary.error).toBeInstanceOf(CommitError);
  });

  it('does not wait for the retry of a call that fails while it stops', async () => {
    const kafka = clusterWith(['a']);
    let fail = (): void => {};
    const worker = new Worker({
      ...common(kafka),
      onFailure: retryPolicy({ then: stop, backoff: { initialMs: 20_000 } }),
      handler: () =>
        new Promise((_resolve, reject) => {
          fail = () => reject(new Error('no'));
        }),
    });
    await worker.start();
    await kafka.clock.advance(10);
    const stopping = worker.stop();
    fail();
    expect(await stopping).toMatchObject({ state: 'stopped', left: [{ topic: 't', partition: 0, offset: 0 }] });
    expect(kafka.clock.pendingTimers).toBe(0);
  });

  it('tells how long the handler that blocks a partition has been running, also when nobody listens', async () => {
    const kafka = clusterWith(['a']);
    const worker = new Worker({ ...common(kafka), handler: () => new Promise(() => {}) });
    await worker.start();
    await kafka.clock.advance(7_000);
    expect(worker.status().partitions[0]?.blockedBy).toEqual({
      topic: 't',
      partition: 0,
      offset: 0,
      key: null,
      attempt: 1,
      sinceMs: 7_000,
    });
    const stopping = worker.stop({ timeoutMs: 0 });
    await kafka.clock.advance(10_000);
    await stopping;
  });

  it('gives what is left of a batch a signal of its own when a part of it was taken away', async () => {
    const kafka = clusterWith(['a', 'b'], 2);
    const aborted: boolean[] = [];
    const options: WorkerOptions = {
      ...common(kafka),
      concurrency: serial,
      revokeDrainMs: 1_000,
      onFailure: retryPolicy({ then: stop, backoff: { initialMs: 100, jitter: 0 } }),
      batchHandler: (records, { signal }) => {
        aborted.push(signal.aborted);
        if (aborted.length > 1) return undefined;
        expect(records).toHaveLength(2);
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      },
    };
    const worker = new Worker(options);
    await worker.start();
    await kafka.clock.advance(10);
    kafka.group('g').revoke([p(0)]);
    await kafka.clock.advance(10_000);
    expect(aborted).toEqual([false, false]);
    expect(kafka.committed('g', 't').get(1)).toBe(1);
    await worker.stop();
  });
});
