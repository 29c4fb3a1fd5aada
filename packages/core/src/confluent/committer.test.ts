import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { CommitError } from '../errors.ts';
import type { NextOffset } from '../record.ts';
import { Committer } from './committer.ts';

const at = (partition: number, offset: number): NextOffset => ({ topic: 't', partition, offset });

describe('Committer', () => {
  afterEach(() => void jest.useRealTimers());

  it('has one commit in flight, and joins what is asked for meanwhile into the next', async () => {
    const commits: NextOffset[][] = [];
    const committer = new Committer(
      (offsets) => void commits.push(offsets),
      () => {},
    );
    const all = [committer.commit([at(0, 1)]), committer.commit([at(0, 2)]), committer.commit([at(0, 3), at(1, 1)])];
    expect(commits).toEqual([[at(0, 1)]]);
    committer.acknowledged(undefined, [at(0, 1)]);
    await all[0];
    await Promise.resolve();
    expect(commits.slice(1)).toEqual([[at(0, 3), at(1, 1)]]);
    committer.acknowledged(undefined, [at(1, 1), at(0, 3)]);
    await Promise.all(all);
  });

  it('repeats a refused commit partition by partition, and rejects only for what failed', async () => {
    const committer = new Committer(
      (offsets) =>
        queueMicrotask(() =>
          committer.acknowledged(
            offsets.some((o) => o.partition === 7) ? { code: 3, message: 'unknown' } : undefined,
            offsets,
          ),
        ),
      () => {},
    );
    const good = committer.commit([at(9, 9)]);
    const failing = committer.commit([at(0, 1), at(7, 1)]);
    const other = committer.commit([at(1, 1)]);
    await good;
    await expect(failing).rejects.toMatchObject({
      failures: [{ topic: 't', partition: 7, offset: 1, kafkaCode: 3 }],
      retriable: false,
    });
    await other;
  });

  it('takes a group level error for the whole commit, without asking again', async () => {
    let commits = 0;
    const committer = new Committer(
      (offsets) => {
        commits++;
        queueMicrotask(() => committer.acknowledged({ code: 27, message: 'rebalance' }, offsets));
      },
      () => {},
    );
    await expect(committer.commit([at(0, 1), at(1, 1)])).rejects.toMatchObject({
      failures: [{ kafkaCode: 27 }, { kafkaCode: 27 }],
      retriable: true,
    });
    expect(commits).toBe(1);
  });

  it.each([14, 15, 16, 22, 25, 27, 113, -185, -195])(
    'takes code %i of a single repetition for the rest, without asking again',
    async (code) => {
      let commits = 0;
      const committer = new Committer(
        (offsets) => {
          const answer = [{ code: 3, message: 'unknown' }, undefined, { code, message: 'moved' }][commits++];
          queueMicrotask(() => committer.acknowledged(answer, offsets));
        },
        () => {},
      );
      await expect(committer.commit([at(0, 1), at(1, 1), at(2, 1), at(3, 1)])).rejects.toMatchObject({
        failures: [1, 2, 3].map((partition) => ({ partition, kafkaCode: code })),
      });
      expect(commits).toBe(3);
    },
  );

  it('has one deadline for a commit and its repetitions', async () => {
    jest.useFakeTimers();
    const started = performance.now();
    let commits = 0;
    const committer = new Committer(
      (offsets) => {
        commits++;
        setTimeout(() => committer.acknowledged({ code: 3, message: 'unknown' }, offsets), 6_000);
      },
      () => {},
    );
    const partitions = Array.from({ length: 50 }, (_, i) => at(i, 1));
    const failed = committer.commit(partitions).catch((error: unknown) => error as CommitError);
    await jest.advanceTimersByTimeAsync(15_000);
    const { failures } = (await failed) as CommitError;
    expect(failures.map(({ kafkaCode }) => kafkaCode)).toEqual([3, ...Array.from({ length: 49 }, () => -185)]);
    expect(performance.now() - started).toBe(15_000);
    expect(commits).toBe(3);
  });

  // The same offsets with other metadata: an answer does not tell them apart.
  it('does not take the late answer to a commit that was given up for the answer to a later one', async () => {
    jest.useFakeTimers();
    const committer = new Committer(
      () => {},
      () => {},
    );
    const first = committer.commit([{ ...at(0, 5), metadata: 'a' }]).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(15_000);
    expect(await first).toMatchObject({ failures: [{ kafkaCode: -185 }] });
    let isDone = false;
    const second = committer.commit([{ ...at(0, 5), metadata: 'b' }]).then(() => {
      isDone = true;
    });
    committer.acknowledged(undefined, [at(0, 5)]);
    await jest.advanceTimersByTimeAsync(0);
    expect(isDone).toBe(false);
    committer.acknowledged(undefined, [at(0, 5)]);
    await second;
    const third = committer.commit([at(0, 5)]);
    committer.acknowledged(undefined, [at(0, 5)]);
    await third;
  });

  it('rejects when the native call throws, and after it is closed', async () => {
    const committer = new Committer(
      () => {
        throw Object.assign(new Error('disconnected'), { code: -172 });
      },
      () => {},
    );
    await expect(committer.commit([at(0, 1)])).rejects.toMatchObject({ name: 'CommitError' });
    await committer.close();
    await expect(committer.commit([at(0, 1)])).rejects.toMatchObject({ code: 'ILLEGAL_STATE' });
  });
});
