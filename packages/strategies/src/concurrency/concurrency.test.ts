import { describe, expect, it } from '@jest/globals';
import type { ConcurrencyStrategy } from '@kafka-worker/core';
import { InvalidOptionError } from '@kafka-worker/core';
import { perPartition } from './per-partition.ts';
import { serial } from './serial.ts';

describe('serial', () => {
  it('is one lane for everything, and one call at a time', () => {
    expect(serial()).toEqual({
      kind: 'concurrency',
      name: 'serial',
      lanes: { by: 'all', active: 1, inside: { width: 1 } },
    });
  });
});

describe('perPartition', () => {
  it('is a lane for each partition, all of them at once, one call at a time in each', () => {
    expect(perPartition().lanes).toEqual({ by: 'partition', active: Number.POSITIVE_INFINITY, inside: { width: 1 } });
    expect(perPartition({ concurrency: 'unlimited' })).toEqual(perPartition());
  });

  it('limits how many partitions are worked on', () => {
    expect(perPartition({ concurrency: 2 }).lanes.active).toBe(2);
  });

  it('nests another strategy inside a partition', () => {
    const nested = perPartition({ concurrency: 3, within: serial() });
    expect(nested).toMatchObject({
      name: 'perPartition(serial)',
      lanes: { by: 'partition', active: 3, inside: serial().lanes },
    });
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null])('refuses concurrency %p', (concurrency) => {
    const make = (): ConcurrencyStrategy => perPartition({ concurrency: concurrency as number });
    expect(make).toThrow(InvalidOptionError);
    expect(make).toThrow('perPartition.concurrency: expected a whole number');
  });

  it('refuses what is no strategy inside', () => {
    expect(() => perPartition({ within: {} as ConcurrencyStrategy })).toThrow(
      'perPartition.within: expected a concurrency strategy',
    );
    expect(() => perPartition({ within: null as unknown as ConcurrencyStrategy })).toThrow(InvalidOptionError);
  });
});
