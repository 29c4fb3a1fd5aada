import { describe, expect, it } from '@jest/globals';
import type { KafkaConsumer, LogPosition } from './kafka-client.ts';
import { logRanges } from './log-range.ts';
import type { TopicPartition } from './record.ts';

/** A consumer of logs from 2 to 5 as it may see them, and to 9 with a transaction that is open. */
function consumer(): { consumer: KafkaConsumer; asked: string[] } {
  const asked: string[] = [];
  const ends: Readonly<Record<string, number>> = { earliest: 2, latest: 5, 'high-watermark': 9 };
  const offsetsFor = (partitions: readonly TopicPartition[], position: LogPosition): Promise<object[]> => {
    asked.push(`${String(position)} ${partitions.map((one) => one.partition).join()}`);
    return Promise.resolve(partitions.map((one) => ({ ...one, offset: ends[String(position)] ?? -1 })));
  };
  return { consumer: { offsetsFor } as unknown as KafkaConsumer, asked };
}

const at = (partition: number, offset: number | undefined): TopicPartition & { offset: number | undefined } => ({
  topic: 't',
  partition,
  offset,
});

describe('logRanges', () => {
  it('ends where the isolation level has the end, and asks nothing more, where no position lies behind it', async () => {
    const { consumer: kafka, asked } = consumer();
    expect(await logRanges(kafka, [at(0, 1), at(1, 5), at(2, undefined)])).toEqual(
      Array.from({ length: 3 }, () => ({ earliest: 2, latest: 5 })),
    );
    expect(asked).toEqual(['earliest 0,1,2', 'latest 0,1,2']);
  });

  it('ends where the log does for a position behind open transactions', async () => {
    const { consumer: kafka, asked } = consumer();
    expect(await logRanges(kafka, [at(0, 5), at(1, 6)])).toEqual([
      { earliest: 2, latest: 5 },
      { earliest: 2, latest: 9 },
    ]);
    expect(asked.at(-1)).toBe('high-watermark 1');
  });
});
