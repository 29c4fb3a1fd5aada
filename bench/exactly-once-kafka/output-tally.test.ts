import { describe, expect, it } from '@jest/globals';
import { OutputTally } from './output-tally.ts';

const KEYS = 2;
const RECORDS = 8;

/** The records 0 to 7 of two keys, in this order; record 5 has to be a dead letter. */
function verdictOf(outputs: readonly number[], deadLetters: readonly number[] = [5]) {
  const tally = new OutputTally(KEYS, (record) => record === 5);
  for (const record of outputs) tally.add('outputs', record);
  for (const record of deadLetters) tally.add('dead-letters', record);
  return tally.verdict(RECORDS);
}

const right = { records: RECORDS, lost: 0, repeated: 0, orderViolations: 0, misplaced: 0 };

describe('OutputTally', () => {
  it('finds nothing where each record is there once, in the order of its key', () => {
    expect(verdictOf([1, 0, 2, 4, 6, 3, 7])).toEqual(right);
  });

  it.each([
    ['an output that is not there', [0, 1, 2, 3, 4, 6], [5], { lost: 1 }],
    ['one that is there twice', [0, 1, 2, 3, 2, 4, 6, 7], [5], { repeated: 1 }],
    ['one behind a later one of its key', [0, 1, 4, 2, 3, 6, 7], [5], { orderViolations: 1 }],
    ['a dead letter that is there twice', [0, 1, 2, 3, 4, 6, 7], [5, 5], { repeated: 1 }],
    ['a record that is an output and a dead letter', [0, 1, 2, 3, 4, 6, 7], [5, 7], { repeated: 1 }],
    ['an output in place of a dead letter', [0, 1, 2, 3, 4, 5, 6, 7], [], { misplaced: 1 }],
    ['a dead letter in place of an output', [0, 1, 2, 3, 4, 6], [5, 7], { misplaced: 1 }],
  ])('counts %s, and nothing else', (_, outputs, deadLetters, wrong) => {
    expect(verdictOf(outputs, deadLetters)).toEqual({ ...right, ...wrong });
  });
});
