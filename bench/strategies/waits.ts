import type { BenchRow } from '../bench.ts';
import { type FilledTopic, ORDINARY_BATCH_BYTES, uniformKeys, withTopic } from '../filled-topic.ts';
import type { Part } from '../part.ts';
import { TimerClock } from './ideal.ts';
import { elsewhere } from './peers.ts';
import { measureReading, measureWaiting } from './waiting-run.ts';

const KEYS = 1_000;
/** How long the bare chain of timers runs, for each wait. */
const CLOCK_MS = 2_000;
const table = 'handlers that wait, per key';

/** How near to the ideal are handlers that wait? */
export const waits: Part = async ({ brokers, say, isQuick }) => {
  const records = isQuick ? 2_500 : 25_000;
  const topic = `strategies-waits-${process.pid}`;
  const nextKey = uniformKeys(KEYS);
  const keys = Array.from({ length: records }, () => nextKey());
  const filled: FilledTopic = {
    ...{ topic, partitions: 8, records, valueBytes: 100, batchBytes: ORDINARY_BATCH_BYTES },
    keyOf: (i) => keys[i] ?? 0,
  };
  const rows: BenchRow[] = [];
  const ratios: Record<string, number> = {};
  await withTopic(brokers, filled, async () => {
    const readingSeconds = await measureReading(brokers, topic, records);
    for (const waitMs of isQuick ? [1, 10] : [1, 10, 100]) {
      const clock = await TimerClock.measure(Array.from({ length: CLOCK_MS / waitMs }, () => waitMs));
      for (const concurrency of [100, 1_000, 'unlimited'] as const) {
        const name = `${waitMs} ms, concurrency ${concurrency}`;
        const waiting = keys.map((key) => ({ key, waitMs }));
        const row = await measureWaiting({
          ...{ table, name, brokers, topic, waits: waiting, waitMsOf: () => waitMs, concurrency },
          ...{ clock, readingSeconds, say },
        });
        rows.push({ ...row, ...(isQuick ? {} : peersAt(waitMs, concurrency)) });
        ratios[`${name}: to ideal`] = row.toIdeal;
      }
    }
  });
  return { rows, ratios };
};

function peersAt(waitMs: number, concurrency: number | 'unlimited'): Pick<BenchRow, string> {
  const theirs = elsewhere.waits;
  if (waitMs !== theirs.waitMs || concurrency !== theirs.concurrency) return {};
  return {
    parallelConsumerElsewhereSeconds: theirs.parallelConsumerSeconds,
    kafkaGoWorkerElsewhereSeconds: theirs.kafkaGoWorkerSeconds,
  };
}
