import { type ConcurrencyStrategy, type Delivery, Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import type { FilledTopic } from './filled-topic.ts';

/** A worker's way from one topic into another. */
export interface CopyRun {
  readonly brokers: string;
  readonly input: FilledTopic;
  readonly output: string;
  readonly delivery: Delivery;
  readonly concurrency: ConcurrencyStrategy;
  /** The next record's handler sends only when the last record is committed. */
  readonly isOneByOne: boolean;
  /** @defaultValue `'librdkafka'` */
  readonly reader?: 'librdkafka' | 'direct';
}

/** How it went: from the first handler call until everything is committed. */
export interface CopyResult {
  readonly seconds: number;
  readonly commits: number;
}

/** Acknowledgements come in batches: there is enough to do meanwhile. */
const IN_FLIGHT_RECORDS = 50_000;

/** Lets a worker of a new group send every record of the input on, as it is. Under `atLeastOnce` a record is done when its message is acknowledged. */
export async function copyTopic(run: CopyRun): Promise<CopyResult> {
  const { brokers, input, output, delivery, concurrency, isOneByOne, reader = 'librdkafka' } = run;
  let startedAt = 0;
  let commits = 0;
  let committedRecords = 0;
  let goOn = (): void => {};
  let isCommitted = Promise.resolve();
  let finish = (_error?: unknown): void => {};
  const finished = new Promise<unknown>((resolve) => {
    finish = resolve;
  });
  const offsets = new Map<number, number>();
  const worker = new Worker({
    kafka: confluentKafka({ brokers: brokers.split(','), reader }),
    groupId: `copy-${input.topic}-${process.hrtime.bigint()}`,
    topics: input.topic,
    ...{ delivery, concurrency, limits: { inFlightRecords: IN_FLIGHT_RECORDS } },
    ...(isOneByOne ? { commit: { everyRecords: 1 } } : {}),
    handler: isOneByOne
      ? async ({ key, value }, { send }) => {
          if (startedAt === 0) startedAt = performance.now();
          await isCommitted;
          isCommitted = new Promise((resolve) => {
            goOn = resolve;
          });
          send({ topic: output, key, value });
        }
      : ({ key, value }, { send }) => {
          if (startedAt === 0) startedAt = performance.now();
          send({ topic: output, key, value });
        },
  });
  worker.on('committed', ({ offsets: committed }) => {
    // What is resolved as a start is committed, too.
    let moved = 0;
    for (const { partition, offset } of committed) {
      moved += offset - (offsets.get(partition) ?? 0);
      offsets.set(partition, offset);
    }
    if (moved === 0) return;
    commits++;
    committedRecords += moved;
    goOn();
    if (committedRecords >= input.records) finish();
  });
  await worker.start();
  worker.finished.catch(finish);
  const error = await finished;
  const seconds = (performance.now() - startedAt) / 1_000;
  const summary = await worker.stop({ mode: 'drain' });
  if (error !== undefined || summary.handled !== input.records)
    throw new Error('the worker did not copy everything', { cause: error });
  return { seconds, commits };
}
