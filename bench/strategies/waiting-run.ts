import type { KafkaRecord } from '@kafka-worker/core';
import { perKey } from '@kafka-worker/strategies';
import type { BenchRow } from '../bench.ts';
import { median, rounded } from '../statistics.ts';
import { readByWorker } from '../worker-loop.ts';
import { bareTimer, idealSeconds, settle, type TimerClock, type Wait } from './ideal.ts';

const ROUNDS = 5;
/** What takes longer is measured once: it varies less. */
const REPEATED_BELOW_SECONDS = 4;
/** Handlers that wait leave the reader's cost to be seen, so it is the one that costs less. */
const reader = 'direct';

/** A topic whose handlers wait, read per key. */
export interface WaitingRun {
  readonly table: string;
  readonly name: string;
  readonly brokers: string;
  readonly topic: string;
  /** Every record of the topic. */
  readonly waits: readonly Wait[];
  readonly waitMsOf: (record: KafkaRecord) => number;
  readonly concurrency: number | 'unlimited';
  readonly clock: TimerClock;
  /** What the same way takes when no handler waits: the ideal knows nothing of it. */
  readonly readingSeconds: number;
  readonly say: (line: string) => void;
}

/** Seconds that a worker takes to read the whole topic, per key, when its handlers do nothing. */
export async function measureReading(brokers: string, topic: string, records: number): Promise<number> {
  const all: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    await settle();
    const handler = (done: () => void) => () => done();
    all.push(await readByWorker({ brokers, topic, until: records, reader, concurrency: perKey(), handler }));
  }
  return median(all);
}

/** Measures it beside its ideal. */
export async function measureWaiting(run: WaitingRun): Promise<BenchRow & { seconds: number; toIdeal: number }> {
  const { table, name, brokers, topic, waits, waitMsOf, concurrency, clock, readingSeconds, say } = run;
  const ideal = idealSeconds(waits, concurrency === 'unlimited' ? Number.POSITIVE_INFINITY : concurrency, clock);
  const all: number[] = [];
  // Where there are several, the first one warms the broker and the compiler up and does not count.
  const isRepeated = ideal < REPEATED_BELOW_SECONDS;
  for (let round = isRepeated ? 0 : 1; round <= (isRepeated ? ROUNDS : 1); round++) {
    await settle();
    const seconds = await readByWorker({
      ...{ brokers, topic, until: waits.length, reader, concurrency: perKey({ concurrency }) },
      // The bound of what is in flight is another matter: here everything may be.
      limits: { inFlightRecords: 2 * waits.length },
      handler: (done) => (record) => bareTimer(waitMsOf(record)).then(done),
    });
    if (round > 0) all.push(seconds);
    say(
      `${table}, ${round === 0 ? 'warm-up' : `round ${round}`}: ${name}: ${rounded(seconds, 3)} s, ideal ${rounded(ideal, 3)} s`,
    );
  }
  const seconds = median(all);
  return {
    ...{ table, name, idealSeconds: rounded(ideal, 3), seconds: rounded(seconds, 3) },
    toIdeal: rounded(seconds / ideal, 3),
    readingSeconds: rounded(readingSeconds, 3),
    recordsPerSecond: Math.round(waits.length / seconds),
  };
}
