import type { BenchRow } from '../bench.ts';
import { ORDINARY_BATCH_BYTES, withTopic } from '../filled-topic.ts';
import type { Part } from '../part.ts';
import { rounded } from '../statistics.ts';
import { TimerClock } from './ideal.ts';
import { elsewhere } from './peers.ts';
import { measureReading, measureWaiting } from './waiting-run.ts';

const CONCURRENCY = 100;
const MAX_WAIT_MS = 5;
/** So many of the drawn waits make the bare chain of timers. */
const CLOCK_TIMERS = 1_000;
const table = 'one partition, random waits, per key';

/** How much of one partition's work runs at once, by its number of keys? The waits are drawn anew in each run of the benchmark. */
export const onePartition: Part = async ({ brokers, say, isQuick }) => {
  const records = isQuick ? 1_000 : 10_000;
  const rows: BenchRow[] = [];
  const ratios: Record<string, number> = {};
  const waitsMs = Array.from({ length: records }, () => Math.random() * MAX_WAIT_MS);
  const clock = await TimerClock.measure(waitsMs.slice(0, CLOCK_TIMERS));
  for (const [keys, theirs] of elsewhere.parallelConsumerOnePartition) {
    const topic = `strategies-one-partition-${keys}-${process.pid}`;
    const keyOf = (i: number): number => i % keys;
    const filled = { topic, partitions: 1, records, valueBytes: 100, batchBytes: ORDINARY_BATCH_BYTES, keyOf };
    const name = `${keys} ${keys === 1 ? 'key' : 'keys'}`;
    const waits = waitsMs.map((waitMs, i) => ({ key: keyOf(i), waitMs }));
    const waitMsOf = ({ offset }: { readonly offset: number }): number => waitsMs[offset] ?? 0;
    const row = await withTopic(brokers, filled, async () =>
      measureWaiting({
        ...{ table, name, brokers, topic, waits, waitMsOf, concurrency: CONCURRENCY, clock, say },
        readingSeconds: await measureReading(brokers, topic, records),
      }),
    );
    // Theirs is for the whole topic.
    rows.push(isQuick ? row : { ...row, parallelConsumerElsewhereSeconds: theirs });
    ratios[`${name}: to ideal`] = row.toIdeal;
    if (!isQuick) ratios[`${name}: to parallel-consumer elsewhere`] = rounded(row.seconds / theirs, 3);
  }
  return { rows, ratios };
};
