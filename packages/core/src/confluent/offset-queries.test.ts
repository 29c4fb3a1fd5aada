import { describe, expect, it } from '@jest/globals';
import { ClientError } from '../errors.ts';
import type { NativeConsumer } from './native-client.ts';
import { partitionCounts, resolveOffsets } from './offset-queries.ts';
import type { RawClient } from './raw-client.ts';

/** Answers every question with offset 7, and keeps what was asked. */
function answering(): { raw: RawClient<NativeConsumer>; asked: unknown[] } {
  const asked: unknown[] = [];
  const native = {
    offsetsForTimes(partitions: object[], _timeoutMs: number, done: (error: null, value: object[]) => void) {
      asked.push(...partitions);
      done(
        null,
        partitions.map((partition) => ({ ...partition, offset: 7 })),
      );
    },
  };
  const raw = {
    call: (_what: string, _ms: number, run: (client: object, done: unknown) => void) =>
      new Promise((resolve) => run(native, (_error: null, value: object[]) => resolve(value))),
  };
  return { raw: raw as unknown as RawClient<NativeConsumer>, asked };
}

const partition = { topic: 't', partition: 0 };

describe('resolveOffsets', () => {
  it.each([
    ['an invalid Date', new Date(Number.NaN)],
    ['an unknown word', 'newest'],
    ['a number', 5],
    ['null', null],
    ['nothing', undefined],
    ['what looks like a Date', { getTime: () => 5 }],
  ])('refuses %s, and asks nothing', async (_what, position) => {
    const { raw, asked } = answering();
    const invalid = { code: 'INVALID_OPTION', option: 'position' };
    await expect(resolveOffsets(raw, [partition], position as Date)).rejects.toMatchObject(invalid);
    await expect(resolveOffsets(raw, [], position as Date)).rejects.toMatchObject(invalid);
    expect(asked).toEqual([]);
  });

  it.each([
    ['earliest' as const, -2],
    ['latest' as const, -1],
    [new Date(5), 5],
    [new Date(-5), 0],
  ])('asks for %s with %i', async (position, offset) => {
    const { raw, asked } = answering();
    expect(await resolveOffsets(raw, [partition], position)).toEqual([{ ...partition, offset: 7 }]);
    expect(asked).toEqual([{ ...partition, offset }]);
  });
});

describe('of partitions that the client says it does not know', () => {
  const asking = (metadata: () => Promise<unknown>): Promise<unknown> => {
    const cause = { code: -190, message: 'Local: Unknown partition' };
    const raw = { metadata, call: (what: string) => Promise.reject(new ClientError(what, { cause })) };
    return resolveOffsets(raw as unknown as RawClient<NativeConsumer>, [partition], 'latest');
  };
  const having = (count: number) => () =>
    Promise.resolve({ topics: [{ name: 't', partitions: Array.from({ length: count }, () => ({ leader: -1 })) }] });

  it('waiting helps where the cluster has them: they have no leader now', async () => {
    await expect(asking(having(1))).rejects.toMatchObject({
      name: 'ClientError',
      retriable: true,
      message: expect.stringContaining('no broker leads these partitions now'),
    });
  });

  it('waiting does not help where the cluster has none of that number, or no such topic', async () => {
    await expect(asking(having(0))).rejects.toMatchObject({ retriable: false });
    await expect(asking(() => Promise.resolve({ topics: [] }))).rejects.toMatchObject({ retriable: false });
  });

  it('waiting helps where nobody says whether there are any', async () => {
    const away = new ClientError('metadata cannot be read', { retriable: true });
    await expect(asking(() => Promise.reject(away))).rejects.toBe(away);
  });
});

describe('partitionCounts', () => {
  it('calls no topic unknown while it cannot learn whether it is hidden', async () => {
    const raw = {
      metadata: () => Promise.resolve({ topics: [] }),
      call: (what: string) =>
        Promise.reject(new ClientError(`${what}: no answer within 10000 ms`, { retriable: true })),
    } as unknown as RawClient<NativeConsumer>;
    const refusal = {
      name: 'ClientError',
      retriable: true,
      message: expect.stringContaining('topic "t": not to be seen'),
    };
    await expect(partitionCounts(raw, ['t'])).rejects.toMatchObject(refusal);
    // Of all topics those are told of that are seen: none is asked for.
    expect((await partitionCounts(raw, undefined)).size).toBe(0);
  });
});
