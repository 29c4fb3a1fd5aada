import { describe, expect, it } from '@jest/globals';
import { stopPolicy } from './defaults.ts';
import type { Delivery, DeliverySession } from './delivery.ts';
import type { NextOffset } from './record.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const at = (partition: number) => ({ topic: 't', partition });
const named = (offsets: readonly NextOffset[]): string =>
  offsets.map((one) => `${one.partition}@${one.offset}`).join(' ');

interface Transaction {
  readonly transaction: string;
}

/** Commits to the group, and writes everything that it is asked down. */
function deliveryWith(steps: string[], more: Partial<DeliverySession<Transaction>> = {}): Delivery<Transaction> {
  return {
    kind: 'delivery',
    name: 'own',
    open({ consumer }) {
      steps.push('open');
      return Promise.resolve({
        async commit({ partitions }) {
          steps.push(`commit ${named(partitions)}`);
          await consumer.commit(partitions);
          steps.push('committed');
        },
        close: async () => void steps.push('close'),
        ...more,
      });
    },
  };
}

function clusterWith(...partitions: readonly (readonly string[])[]): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: partitions.length } } });
  for (const [partition, values] of partitions.entries())
    kafka.send(values.map((value) => ({ topic: 't', partition, value })));
  return kafka;
}

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, Transaction>>;

function workerOn(
  kafka: FakeKafka,
  delivery: Delivery<Transaction>,
  handler: (record: { readonly value: Buffer | null }, context: Transaction) => unknown,
  rest: Rest = {},
) {
  return new Worker<Buffer | null, Buffer | null, Transaction>({
    ...{
      kafka,
      groupId: 'g',
      topics: 't',
      clock: kafka.clock,
      logger: quiet,
      delivery,
      handler,
      onFailure: stopPolicy,
    },
    ...rest,
  });
}

describe('the session of a delivery', () => {
  it('is opened first, told of what is received before it is handled, runs around calls, commits, and is closed last', async () => {
    const kafka = clusterWith(['a', 'b']);
    const steps: string[] = [];
    const delivery = deliveryWith(steps, {
      async received(records, next) {
        steps.push(`received ${records.length}, next ${named(next)}`);
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 100));
        steps.push('noted');
      },
      contextFor: ({ offset }) => ({ transaction: `tx${offset}` }),
      async around(records, run) {
        steps.push(`begin ${records.map(({ offset }) => offset).join()}`);
        await run();
        steps.push('end');
      },
    });
    const worker = workerOn(kafka, delivery, ({ value }, { transaction }) =>
      steps.push(`${String(value)} in ${transaction}`),
    );
    await worker.start();
    await kafka.clock.advance(5_000);
    await worker.stop();
    expect(steps).toEqual([
      ...['open', 'commit 0@0', 'committed'],
      ...['received 2, next 0@2', 'noted'],
      ...['begin 0', 'a in tx0', 'end', 'begin 1', 'b in tx1', 'end'],
      ...['commit 0@2', 'committed', 'close'],
    ]);
  });

  it('fails the record when what it runs around the call fails, and commits nothing of it', async () => {
    const kafka = clusterWith(['a', 'b']);
    const steps: string[] = [];
    const delivery = deliveryWith(steps, {
      async around([record], run) {
        await run();
        if (record?.offset === 1) throw new Error('could not be committed');
      },
    });
    const worker = workerOn(kafka, delivery, () => {});
    const finished = expect(worker.finished).rejects.toThrow('could not be committed');
    await worker.start();
    await kafka.clock.advance(5_000);
    await finished;
    expect(kafka.committed('g', 't').get(0)).toBe(1);
  });

  it('says where partitions start, and leaves to the group what it does not know', async () => {
    const kafka = clusterWith(['a', 'b', 'c'], ['x', 'y']);
    const asked: unknown[] = [];
    const handled: string[] = [];
    const delivery = deliveryWith([], {
      startOffsets: (partitions) => {
        asked.push(partitions.map(({ partition }) => partition));
        return Promise.resolve([{ ...at(0), offset: 2 }]);
      },
    });
    const worker = workerOn(kafka, delivery, ({ value }) => handled.push(String(value)));
    await worker.start();
    await kafka.clock.advance(2_000);
    expect(asked).toEqual([[0, 1]]);
    expect(handled.sort()).toEqual(['c', 'x', 'y']);
    await worker.stop();
  });

  it('never has two commits at once', async () => {
    const kafka = clusterWith([], []);
    let now = 0;
    let most = 0;
    const delivery = deliveryWith([], {
      async commit() {
        most = Math.max(most, ++now);
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 35));
        now--;
      },
    });
    const worker = workerOn(kafka, delivery, () => {}, { commit: { everyMs: 20 } });
    await worker.start();
    for (let i = 0; i < 50; i++) {
      kafka.send([{ topic: 't', partition: i % 2, value: 'v' }]);
      await kafka.clock.advance(13);
      if (i === 20) kafka.group('g').revoke([at(1)]);
    }
    const stopping = worker.stop();
    await kafka.clock.advance(10_000);
    await stopping;
    expect([most, now]).toEqual([1, 0]);
  });

  it('is asked to let partitions go that are revoked, after their last commit and before they are released', async () => {
    const kafka = clusterWith([], ['x']);
    const steps: string[] = [];
    const delivery = deliveryWith(steps, {
      async revoking(partitions) {
        steps.push(`revoking ${partitions.map(({ partition }) => partition).join()}`);
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 500));
        steps.push(`still has ${kafka.group('g').assignment().length}`);
      },
      lost: () => void steps.push('lost'),
    });
    const worker = workerOn(kafka, delivery, () => {}, { commit: { everyMs: 60_000 } });
    worker.on('revoked', ({ partitions, lost }) => steps.push(`revoked ${partitions.length} ${lost}`));
    await worker.start();
    await kafka.clock.advance(10);
    steps.splice(0);
    kafka.group('g').revoke([at(1)]);
    await kafka.clock.advance(2_000);
    expect(steps).toEqual(['commit 1@1', 'committed', 'revoking 1', 'still has 2', 'revoked 1 false']);
    await worker.stop();
  });

  it('commits nothing of partitions that it has let go of, also for a stop that comes before they are released', async () => {
    const kafka = clusterWith(['a'], ['b']);
    const steps: string[] = [];
    const delivery = deliveryWith(steps, {
      async revoking() {
        steps.push('revoking');
        await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 1_000));
      },
    });
    const worker = workerOn(kafka, delivery, () => {}, { commit: { everyMs: 60_000 }, revokeDrainMs: 3_000 });
    worker.on('revoked', () => void steps.push('revoked'));
    await worker.start();
    await kafka.clock.advance(10);
    // More than the revocation has the time to repeat.
    kafka.failCommits(9, { kafkaCode: 14, retriable: true });
    kafka.group('g').revoke([at(1)]);
    while (!steps.includes('revoking')) await kafka.clock.advance(100);
    steps.splice(0);
    kafka.failCommits(0, { kafkaCode: 14, retriable: true });
    const stopping = worker.stop();
    await kafka.clock.advance(60_000);
    await stopping;
    const commits = steps.filter((step) => step.startsWith('commit '));
    expect(commits.length).toBeGreaterThan(0);
    expect(commits.filter((commit) => commit.includes('1@'))).toEqual([]);
  });

  it('is told of lost partitions, and is not asked to commit them', async () => {
    const kafka = clusterWith(['a'], ['x']);
    const steps: string[] = [];
    const delivery = deliveryWith(steps, {
      revoking: async () => void steps.push('revoking'),
      lost: (partitions) => void steps.push(`lost ${partitions.map(({ partition }) => partition).join()}`),
    });
    const worker = workerOn(kafka, delivery, () => {}, { commit: { everyMs: 60_000 } });
    await worker.start();
    await kafka.clock.advance(10);
    steps.splice(0);
    kafka.group('g').lose([at(1)]);
    await kafka.clock.advance(2_000);
    await worker.stop();
    expect(steps.filter((step) => step.includes('lost'))).toEqual(['lost 1']);
    expect(steps.filter((step) => step.includes('1@') || step === 'revoking')).toEqual([]);
    expect(kafka.committed('g', 't').get(1)).toBe(0);
  });
});
