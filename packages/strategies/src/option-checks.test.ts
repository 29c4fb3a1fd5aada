import { describe, expect, it } from '@jest/globals';
import { InvalidOptionError } from '@kafka-worker/core';
import { serial } from './concurrency/serial.ts';
import { atLeastOnce } from './delivery/at-least-once.ts';
import { freezeKey } from './failure/freeze-key.ts';
import { freezePartition } from './failure/freeze-partition.ts';
import { retry } from './failure/retry.ts';
import { skip } from './failure/skip.ts';
import { stop } from './failure/stop.ts';

type Maker = (options: unknown) => unknown;

describe('options that there are not', () => {
  it.each<[string, Maker, unknown]>([
    ['retry.maxAttemps', retry as Maker, { maxAttemps: 3, then: stop() }],
    ['retry.backoff.initial', retry as Maker, { backoff: { initial: 100 }, then: stop() }],
    ['skip.lgo', skip as Maker, { lgo: true }],
    ['skip', skip as Maker, 'x'],
    ['skip', skip as Maker, null],
  ])('are refused by name: %s', (option, make, options) => {
    expect(() => make(options)).toThrow(InvalidOptionError);
    expect(() => make(options)).toThrow(`${option}: expected`);
  });

  it.each<[string, Maker]>([
    ['serial', serial as Maker],
    ['atLeastOnce', atLeastOnce as Maker],
    ['freezePartition', freezePartition as Maker],
    ['freezeKey', freezeKey as Maker],
    ['stop', stop as Maker],
  ])('are refused by %s, which takes none', (name, make) => {
    expect(() => make({ log: true })).toThrow(InvalidOptionError);
    expect(() => make({ log: true })).toThrow(`${name}: expected no options, for it takes none, received an object`);
    expect(() => make(undefined)).not.toThrow();
  });
});
