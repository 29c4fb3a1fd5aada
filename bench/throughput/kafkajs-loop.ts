import { Kafka, logLevel } from 'kafkajs';
import type { ReadOrder } from './contestant.ts';
import type { Tally } from './touches.ts';

/** As a worker's commits. */
const COMMIT_MS = 1_000;

/**
 * Reads with the `eachBatch` of kafkajs, the fastest that it has, with its own defaults but for commits, which it makes as often as a worker does.
 * Seconds from the first record to the last.
 */
export async function readByKafkajs(
  { brokers, topic, records }: ReadOrder,
  tally: Tally,
  started: () => void,
): Promise<number> {
  const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({ groupId: `kafkajs-${topic}-${process.hrtime.bigint()}` });
  let read = 0;
  let startedAt = 0;
  let finish = (_error?: Error): void => {};
  const finished = new Promise<Error | undefined>((resolve) => {
    finish = resolve;
  });
  consumer.on('consumer.crash', ({ payload }) => finish(payload.error));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommitInterval: COMMIT_MS,
    eachBatch: ({ batch }) => {
      if (startedAt === 0) {
        started();
        startedAt = performance.now();
      }
      for (const { key, value } of batch.messages) {
        tally.bytes += (key?.length ?? 0) + (value?.length ?? 0);
        read++;
      }
      if (read >= records) finish();
      return Promise.resolve();
    },
  });
  const error = await finished;
  const seconds = (performance.now() - startedAt) / 1_000;
  await consumer.disconnect();
  if (error !== undefined) throw error;
  return seconds;
}
