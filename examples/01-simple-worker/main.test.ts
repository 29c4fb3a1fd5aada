import { expect, it } from '@jest/globals';
import { describeExample, endsOf, failuresOf } from '../harness/describe-example.ts';
import { seeded } from '../harness/example-topic.ts';
import { createWorker } from './main.ts';

describeExample('01', createWorker, (run) => {
  it('handles every record once, one after the other, in order, and commits to the end', async () => {
    const { summary, calls } = await run();
    const { records } = seeded;
    expect(summary).toMatchObject({ records, handled: records, failed: 0, maxConcurrent: 1 });
    expect(summary.order).toEqual({ partition: true, key: true });
    expect(summary.committed).toEqual(endsOf(calls));
    expect(calls).toHaveLength(records);
  });

  it('passes a record over that fails, and counts it', async () => {
    const fail = [
      { partition: 0, offset: 0 },
      { partition: 1, offset: 3 },
    ];
    const { summary, calls } = await run({ fail });
    const handled = seeded.records - fail.length;
    expect(summary).toMatchObject({ records: seeded.records, handled, failed: fail.length, maxConcurrent: 1 });
    expect(summary.order).toEqual({ partition: true, key: true });
    expect(summary.committed).toEqual(endsOf(calls));
    expect(failuresOf(calls)).toEqual(fail.map((at) => ({ ...at, attempt: 1 })));
  });

  it('has nothing to do for a group that is at the end already', async () => {
    const { summary: first } = await run();
    const { summary, calls } = await run({ topic: first.topic, group: first.group });
    expect(calls).toEqual([]);
    expect(summary).toMatchObject({ records: 0, handled: 0, failed: 0, committed: first.committed });
  });
});
