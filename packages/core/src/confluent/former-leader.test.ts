import { expect, it } from '@jest/globals';
import type { NativeConsumer } from './native-client.ts';
import { resolveOffsets } from './offset-queries.ts';
import type { RawClient } from './raw-client.ts';

const partition = { topic: 't', partition: 0 };
const FENCED = 'Broker: Leader epoch is older than broker epoch';

/** A client that answers as it is told, and says what it was asked. */
function answering(...answers: readonly object[]): { raw: RawClient<NativeConsumer>; asked: string[] } {
  const asked: string[] = [];
  const next = (): Promise<object[]> => {
    asked.push('offsets');
    return Promise.resolve([answers[asked.filter((what) => what === 'offsets').length - 1] ?? {}]);
  };
  const metadata = (topic: string): Promise<object> => {
    asked.push(`metadata of ${topic}`);
    return Promise.resolve({ topics: [] });
  };
  return { raw: { call: next, callAdmin: next, metadata } as unknown as RawClient<NativeConsumer>, asked };
}

it.each(['high-watermark', 'earliest'] as const)(
  'asks who leads, and once more, where a partition has a leader of a later epoch: %s',
  async (position) => {
    const fenced = { ...(position === 'earliest' ? {} : partition), error: new Error(FENCED), message: FENCED };
    const { raw, asked } = answering(position === 'earliest' ? new Error(FENCED) : fenced, { ...partition, offset: 7 });
    expect(await resolveOffsets(raw, [partition], position)).toEqual([{ ...partition, offset: 7 }]);
    expect(asked).toEqual(['offsets', 'metadata of t', 'offsets']);
  },
);

it('asks once where it would hear the same', async () => {
  const { raw, asked } = answering(new Error('Broker: Request timed out'));
  await expect(resolveOffsets(raw, [partition], 'earliest')).rejects.toThrow(/timed out/);
  expect(asked).toEqual(['offsets']);
});
