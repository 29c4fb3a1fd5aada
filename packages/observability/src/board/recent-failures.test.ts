import { expect, it } from '@jest/globals';
import type { WorkerEvents } from '@kafka-worker/core';
import { RecentFailures } from './recent-failures.ts';

type Failed = Parameters<WorkerEvents['failed']>[0];

function failure(offset: number, rest: { readonly key?: unknown; readonly error?: unknown } = {}): Failed {
  const record = { topic: 't', partition: 0, offset, key: 'k', value: 'v', ...rest };
  const error = 'error' in rest ? rest.error : new Error('bad');
  return { record, error, attempt: 1, firstFailedAt: 0, decision: { do: 'skip' } } as unknown as Failed;
}

it('holds the last fifty, the newest first, and of a storm the first ten of a second', () => {
  const failures = new RecentFailures();
  const { failed } = failures.listeners('w');
  for (let i = 0; i < 200; i++) {
    failed(failure(i));
    if (i % 25 === 24) failures.tick();
  }
  const offsets = failures.list().map(({ offset }) => offset);
  expect(offsets).toHaveLength(50);
  expect(offsets.slice(0, 11)).toEqual([184, 183, 182, 181, 180, 179, 178, 177, 176, 175, 159]);
  expect(failures.leftOut).toBe(200 - 80);
});

it('is text of bounded length, whatever keys and errors are, and never what decoding them throws', () => {
  const failures = new RecentFailures();
  const { failed } = failures.listeners('w');
  const undecodable = failure(1);
  Object.defineProperty(undecodable.record, 'key', {
    get() {
      throw new Error('no key');
    },
  });
  const circular = new Error('round');
  circular.cause = circular;
  failed(undecodable);
  failed(failure(2, { key: Buffer.alloc(1_000_000, 'x') }));
  failed(failure(3, { key: { id: 7 }, error: 'x'.repeat(100_000) }));
  failed(failure(4, { key: undefined, error: { toString: () => Object.assign({}) as string } }));
  failed(failure(5, { key: null, error: circular }));
  const [fifth, fourth, third, second, first] = failures.list();
  expect(first).not.toHaveProperty('key');
  expect(second?.key).toHaveLength(100);
  expect(third).toMatchObject({ key: '{"id":7}' });
  expect(third?.error).toHaveLength(400);
  expect(fourth).toMatchObject({ key: 'undefined', error: 'an error that cannot be told' });
  expect(fifth).toMatchObject({ key: null, error: 'Error: round ← Error: round ← Error: round ← Error: round' });
});

it('are also those of commits, dead letters and the worker itself', () => {
  const failures = new RecentFailures();
  const listeners = failures.listeners('w');
  listeners['commit-failed']({ offsets: [], error: new Error('fenced') });
  listeners['dead-letter-failed']({ ...failure(7), topic: 'dead', failures: 1, error: new Error('too large') });
  listeners.error({ error: new Error('a broker went away') });
  expect(failures.list()).toMatchObject([
    { what: 'worker', worker: 'w', error: 'Error: a broker went away' },
    { what: 'dead letter', place: 't/0', offset: 7, error: 'Error: too large' },
    { what: 'commit', error: 'Error: fenced' },
  ]);
});
