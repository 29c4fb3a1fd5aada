import { describe, expect, it } from '@jest/globals';
import { scriptProcess } from '../../scripts/script-process.ts';
import { unreachedFailures } from './unreached-failures.ts';

const ends = new Map([[0, 100]]);
const nothingFrozen = { ends, partitions: [{ partition: 0, frozen: [] }], isCutShort: false };
const failAt = (partition: number, offset: number) => ({ partition, offset });

describe('a record of --fail that the handler never had', () => {
  it('is none of the log', () => {
    expect(unreachedFailures([failAt(9, 17), failAt(0, 5_000)], { ...nothingFrozen, isCutShort: true })).toEqual([
      { line: '--fail 9:17 was never reached: there is no partition 9', isUnexplained: true },
      { line: '--fail 0:5000 was never reached: the log of partition 0 ended at offset 100', isUnexplained: true },
    ]);
  });

  it('may be behind a frozen one', () => {
    const partitions = [{ partition: 0, frozen: [{ offset: 17 }] }];
    expect(unreachedFailures([failAt(0, 20), failAt(0, 3)], { ...nothingFrozen, partitions })).toEqual([
      { line: '--fail 0:20 was not reached: partition 0 is frozen at offset 17', isUnexplained: false },
      { line: '--fail 0:3 was never reached', isUnexplained: true },
    ]);
  });

  it('may have come after the end of the run', () => {
    expect(unreachedFailures([failAt(0, 20)], { ...nothingFrozen, isCutShort: true })).toEqual([
      { line: '--fail 0:20 was not reached: the run ended before that', isUnexplained: false },
    ]);
  });

  it('is told at the end of the run, which counts as failed', async () => {
    const { code, output } = await scriptProcess(['examples/run.ts', '01', '--fail', '9:17']).ended;
    expect(output).toContain('--fail 9:17 was never reached: there is no partition 9');
    expect(code).toBe(1);
  });
});
