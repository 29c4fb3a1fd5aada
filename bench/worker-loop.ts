import { type KafkaRecord, Worker, type WorkerOptions } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';

/** A worker's way through a topic. */
export interface WorkerLoop extends Pick<WorkerOptions, 'concurrency' | 'limits'> {
  readonly brokers: string;
  readonly topic: string;
  /** Who fetches the records. @defaultValue 'librdkafka' */
  readonly reader?: 'direct' | 'librdkafka';
  /** How often `done` is called until the clock stops. */
  readonly until: number;
  /** Makes the handler; it calls `done` when it has done what counts. */
  readonly handler: (done: () => void) => (record: KafkaRecord) => unknown;
  /** Called when the first record is handled. */
  readonly started?: () => void;
  /** Whether the topic holds more than what counts, which is then left. @defaultValue false */
  readonly leavesRest?: boolean;
}

/** Lets a worker of a new group read the topic from its beginning. Seconds from the first handler call to the last `done`. */
export async function readByWorker(loop: WorkerLoop): Promise<number> {
  const { brokers, topic, until, concurrency, limits, reader = 'librdkafka', leavesRest = false } = loop;
  let done = 0;
  let startedAt = 0;
  let finish = (_error?: unknown): void => {};
  const finished = new Promise<unknown>((resolve) => {
    finish = resolve;
  });
  const handle = loop.handler(() => {
    if (++done === until) finish();
  });
  const worker = new Worker({
    kafka: confluentKafka({ brokers: brokers.split(','), reader }),
    groupId: `worker-${topic}-${process.hrtime.bigint()}`,
    topics: topic,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(limits === undefined ? {} : { limits }),
    handler: (record) => {
      if (startedAt === 0) {
        loop.started?.();
        startedAt = performance.now();
      }
      return handle(record);
    },
  });
  await worker.start();
  worker.finished.catch(finish);
  const error = await finished;
  const seconds = (performance.now() - startedAt) / 1_000;
  const summary = await worker.stop({ mode: leavesRest ? 'in-flight' : 'drain' });
  if (error !== undefined || (!leavesRest && summary.handled !== until))
    throw new Error('the worker did not read everything', { cause: error });
  return seconds;
}
