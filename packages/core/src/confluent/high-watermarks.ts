import type { TopicPartition } from '../record.ts';
import type { NativeConsumer } from './native-client.ts';
import type { RawClient } from './raw-client.ts';

/** What the protocol has in place of a time, and for the isolation level. */
const LATEST = -1;
const READ_UNCOMMITTED = 0;

/**
 * Asks where logs end, with what open transactions have written. A consumer that reads committed records only is told the last stable offset,
 * whatever it asks; an admin client on its connections is told what it asks for. Gives an answer or an Error for each, in their order.
 */
export async function highWatermarks(
  raw: RawClient<NativeConsumer>,
  partitions: readonly TopicPartition[],
  what: string,
  timeoutMs: number,
): Promise<unknown[]> {
  const asked = partitions.map(({ topic, partition }) => ({ topic, partition, offset: { timestamp: LATEST } }));
  const options = { timeout: timeoutMs, isolationLevel: READ_UNCOMMITTED };
  const answer = await raw.callAdmin<readonly { topic: string; partition: number; offset?: number; error?: Error }[]>(
    what,
    timeoutMs,
    (admin, done) => admin.listOffsets(asked, options, done),
  );
  return partitions.map(({ topic, partition }) => {
    const own = answer.find((one) => one.topic === topic && one.partition === partition);
    return own?.error ?? own;
  });
}
