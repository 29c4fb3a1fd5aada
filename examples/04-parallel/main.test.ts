import { expect, it } from '@jest/globals';
import { describeExample, endsOf, expectAtOnce, expectSkippedInLog, failuresOf } from '../harness/describe-example.ts';
import { seeded } from '../harness/example-topic.ts';
import { createWorker } from './main.ts';

const LIMIT = 20;

describeExample('04', createWorker, (run, kafka) => {
  it('handles every record once, at most twenty at the same time, in no order, and commits to the end', async () => {
    const ran = await run();
    const { summary, calls } = ran;
    const { records } = seeded;
    expect(summary).toMatchObject({ records, handled: records, failed: 0 });
    expect(summary.order).toEqual({ partition: false, key: false });
    expectAtOnce(summary, LIMIT, kafka);
    expect(summary.committed).toEqual(endsOf(calls));
    expect(calls).toHaveLength(records);
    expectSkippedInLog(ran, []);
  });

  it('passes a record over that fails, logs and counts it, and goes on behind it', async () => {
    const fail = [
      { partition: 0, offset: 0 },
      { partition: 1, offset: 3 },
    ];
    const ran = await run({ fail });
    const { summary, calls } = ran;
    const handled = seeded.records - fail.length;
    expect(summary).toMatchObject({ records: seeded.records, handled, failed: fail.length });
    expect(summary.order).toEqual({ partition: false, key: false });
    expectAtOnce(summary, LIMIT, kafka);
    expect(summary.committed).toEqual(endsOf(calls));
    expect(failuresOf(calls)).toEqual(fail.map((at) => ({ ...at, attempt: 1 })));
    expectSkippedInLog(ran, fail);
  });
});
