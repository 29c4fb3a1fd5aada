import { describe, expect, it } from '@jest/globals';
import { describeRun } from './describe-run.ts';

const summary = {
  example: '01',
  kafka: 'embedded',
  topic: 't',
  group: 'g',
  records: 3,
  handled: 2,
  failed: 1,
  seconds: 0.5,
  maxConcurrent: 1,
  order: { partition: true, key: true },
  committed: { 't/0': 2, 't/1': 1 },
};

describe('describeRun', () => {
  it('ends with what was handled and which offsets are committed', () => {
    expect(describeRun(summary).split('\n')).toEqual([
      'example 01 on embedded Kafka, topic t, group g',
      '3 records: 2 handled, 1 failed, in 0.5 s, at most 1 at once',
      'order kept: within each partition and each key',
      'committed offsets, read back from Kafka:',
      '  t/0  2',
      '  t/1  1',
    ]);
  });

  it('has the figures that are the own ones of an example, if they are numbers', () => {
    const lines = describeRun({ ...summary, result: { accounts: 2, wrong: 0, balances: { a: 1 } } }).split('\n');
    expect(lines).toContain('accounts: 2, wrong: 0');
    expect(lines.join()).not.toContain('balances');
  });

  it('says so when nothing is committed and no order was kept', () => {
    const lines = describeRun({ ...summary, order: { partition: false, key: false }, committed: {} }).split('\n');
    expect(lines).toContain('order kept: no');
    expect(lines.at(-1)).toBe('committed offsets, read back from Kafka: none');
  });
});
