import { expect, it } from '@jest/globals';
import { systemClock } from '@kafka-worker/core';
import { describeExample, endsOf, expectAtOnce, failuresOf } from '../harness/describe-example.ts';
import { seeded } from '../harness/example-topic.ts';
import type { ExampleSetup } from '../harness/run-example.ts';
import { createWorker } from './main.ts';

const fail = [{ partition: 1, offset: 5 }];

/** The same worker, with somebody at hand who passes over whatever it freezes at. */
function createWorkerThatIsSkipped(setup: ExampleSetup): ReturnType<typeof createWorker> {
  const worker = createWorker(setup);
  worker.on('frozen', ({ topic, partition }) => void worker.unfreeze({ topic, partition, skip: true }));
  return worker;
}

describeExample('11', createWorker, (run, kafka) => {
  it('handles every record once, partitions at the same time and each in its order, and commits to the end', async () => {
    const { summary, calls } = await run();
    const { records, partitions } = seeded;
    expect(summary).toMatchObject({ records, handled: records, failed: 0 });
    expect(summary.order).toEqual({ partition: true, key: true });
    expectAtOnce(summary, partitions, kafka);
    expect(summary.committed).toEqual(endsOf(calls));
  });

  it('freezes the partition of a record that fails, commits up to that record, and finishes the other partitions', async () => {
    const { summary, calls } = await run({ fail });
    const frozen = `${summary.topic}/1`;
    expect(failuresOf(calls)).toEqual([{ partition: 1, offset: 5, attempt: 1 }]);
    expect(calls.filter(({ partition }) => partition === 1)).toHaveLength(6);
    expect(summary.committed[frozen]).toBe(5);
    expect(summary.order).toEqual({ partition: true, key: true });
    const others = Object.entries(summary.committed).filter(([name]) => name !== frozen);
    const handled = others.reduce((sum, [, offset]) => sum + offset, 5);
    expect(others).toHaveLength(seeded.partitions - 1);
    expect(summary).toMatchObject({ records: handled + 1, handled, failed: 1 });
    expect(Object.fromEntries(others)).toEqual(endsOf(calls.filter(({ partition }) => partition !== 1)));
  });

  it('says which partition is frozen, why and since when: in the event, in status() and in health', async () => {
    const told: unknown[] = [];
    const startedAt = systemClock.now();
    const createWorkerThatIsAsked = (setup: ExampleSetup): ReturnType<typeof createWorker> => {
      const worker = createWorker(setup);
      worker.on('frozen', (event) => {
        const { partitions } = worker.status();
        const frozen = partitions.flatMap((one) => one.frozen.map((where) => ({ partition: one.partition, ...where })));
        told.push({ event, frozen, health: worker.health() });
      });
      return worker;
    };
    const { summary, calls } = await run({ fail }, createWorkerThatIsAsked);
    const { topic } = summary;
    const { key } = calls.find(({ outcome }) => outcome === 'error') ?? {};
    const which = { partition: 1, scope: 'partition', offset: 5, key };
    const why = 'made to fail by --fail';
    const time = expect.any(Number) as unknown as number;
    expect(told).toEqual([
      {
        event: { topic, ...which, error: new Error(why) },
        frozen: [{ ...which, error: why, since: time, forMs: time }],
        health: { live: true, ready: true, reasons: [`${topic}/1 has been frozen at offset 5 for 0 s: ${why}`] },
      },
    ]);
    const [{ frozen }] = told as [{ frozen: [{ since: number; forMs: number }] }];
    expect(frozen[0].since).toBeGreaterThanOrEqual(startedAt);
    expect(frozen[0].since + frozen[0].forMs).toBeLessThanOrEqual(systemClock.now());
  });

  it('delivers the record first after a restart with a mended handler, and then the rest, each once', async () => {
    const before = await run({ fail });
    const { topic, group } = before.summary;
    const { summary, calls } = await run({ topic, group });
    expect(calls[0]).toMatchObject({ partition: 1, offset: 5, attempt: 1, outcome: 'ok' });
    expect(new Set(calls.map(({ partition }) => partition))).toEqual(new Set([1]));
    expect(before.summary.handled + summary.handled).toBe(seeded.records);
    expect(summary.committed).toEqual({ ...before.summary.committed, ...endsOf(calls) });
  });

  it('goes on behind the record when it is passed over, in order, and commits to the end', async () => {
    const { summary, calls } = await run({ fail }, createWorkerThatIsSkipped);
    expect(summary).toMatchObject({ records: seeded.records, handled: seeded.records - 1, failed: 1 });
    expect(summary.order).toEqual({ partition: true, key: true });
    expect(summary.committed).toEqual(endsOf(calls));
    expect(failuresOf(calls)).toEqual([{ partition: 1, offset: 5, attempt: 1 }]);
  });
});
