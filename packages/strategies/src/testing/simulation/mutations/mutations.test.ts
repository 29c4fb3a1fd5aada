import { describe, expect, it } from '@jest/globals';
import { invariants } from '../invariants.ts';
import { hunt } from './mutation-hunt.ts';
import { mutations } from './mutations.ts';

describe('The simulation of a worker that', () => {
  it.each(mutations)(
    '$name, sees $breaks broken',
    async (mutation) => {
      const { caughtBy } = await hunt(mutation);
      expect(caughtBy).toEqual(expect.any(Number));
    },
    240_000,
  );
});

it('There is a mutation for every invariant', () => {
  expect(new Set(mutations.map(({ breaks }) => breaks))).toEqual(new Set(Object.keys(invariants)));
});
