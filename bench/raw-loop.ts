import clients, { type Message } from '@confluentinc/kafka-javascript';
import { called } from './called.ts';

/** As large as a chunk can be without holding the event loop for long; larger ones are not faster by much. */
const CHUNK_RECORDS = 500;

/**
 * Reads `records` records as fast as the raw client can, in the simplest loop there is. Seconds from the first, when `started` is called, to the last
 * of them. What keys and values have in bytes is added to the tally.
 */
export async function readRaw(
  brokers: string,
  topic: string,
  records: number,
  tally: { bytes: number },
  started: () => void,
): Promise<number> {
  const settings: Record<string, unknown> = {
    ...{
      'bootstrap.servers': brokers,
      'group.id': `raw-${topic}-${process.hrtime.bigint()}`,
      'enable.auto.commit': false,
    },
    ...{
      'partition.assignment.strategy': 'cooperative-sticky',
      'auto.offset.reset': 'earliest',
      'fetch.queue.backoff.ms': 10,
    },
  };
  const consumer = new clients.RdKafka.KafkaConsumer(settings, undefined);
  await called((done) => consumer.connect({ allTopics: false, timeout: 10_000 }, done));
  consumer.subscribe([topic]);
  consumer.setDefaultConsumeTimeout(50);
  (
    consumer as unknown as { setDefaultIsTimeoutOnlyForFirstMessage(on: boolean): void }
  ).setDefaultIsTimeoutOnlyForFirstMessage(true);
  let read = 0;
  let startedAt = 0;
  while (read < records) {
    const chunk = await called<Message[]>((done) => consumer.consume(CHUNK_RECORDS, done));
    if (chunk.length > 0 && startedAt === 0) {
      started();
      startedAt = performance.now();
    }
    for (const { key, value } of chunk) {
      read++;
      tally.bytes += (key?.length ?? 0) + (value?.length ?? 0);
    }
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await called((done) => consumer.disconnect(done));
  return seconds;
}
