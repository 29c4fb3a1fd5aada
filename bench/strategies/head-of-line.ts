import type { KafkaRecord } from '@kafka-worker/core';
import { perKey } from '@kafka-worker/strategies';
import { type FilledTopic, ORDINARY_BATCH_BYTES, uniformKeys, withTopic } from '../filled-topic.ts';
import type { Part } from '../part.ts';
import { median, rounded } from '../statistics.ts';
import { readByWorker } from '../worker-loop.ts';
import { bareTimer, idealSeconds, settle, TimerClock } from './ideal.ts';

const KEYS = 1_000;
const CONCURRENCY = 100;
const WAIT_MS = 1;
const SLOW_MS = 1_000;
/** Of the one key that is slow, spread over the whole topic. */
const SLOW_RECORDS = 10;
const ROUNDS = 3;
const CLOCK_TIMERS = 1_000;
const table = 'one slow key among others';

/** Do the other keys finish as if the slow one were not there? Only they count; limits are the defaults. */
export const headOfLine: Part = async ({ brokers, say, isQuick }) => {
  const records = isQuick ? 10_000 : 100_000;
  const topic = `strategies-head-of-line-${process.pid}`;
  const nextKey = uniformKeys(KEYS);
  const isSlow = (i: number): boolean => i % (records / SLOW_RECORDS) === 0;
  const keys = Array.from({ length: records }, (_, i) => (isSlow(i) ? KEYS : nextKey()));
  const slowName = `key-${KEYS}`;
  const filled: FilledTopic = {
    ...{ topic, partitions: 8, records, valueBytes: 100, batchBytes: ORDINARY_BATCH_BYTES },
    keyOf: (i) => keys[i] ?? 0,
  };
  const clock = await TimerClock.measure(Array.from({ length: CLOCK_TIMERS }, () => WAIT_MS));
  const others = keys.filter((key) => key !== KEYS).map((key) => ({ key, waitMs: WAIT_MS }));

  const measure = async (slowMs: number): Promise<number> => {
    await settle();
    return readByWorker({
      ...{ brokers, topic, until: others.length, leavesRest: true, reader: 'direct' },
      concurrency: perKey({ concurrency: CONCURRENCY }),
      handler:
        (done) =>
        async ({ key }: KafkaRecord) => {
          const isOfSlowKey = String(key) === slowName;
          await bareTimer(isOfSlowKey ? slowMs : WAIT_MS);
          if (!isOfSlowKey) done();
        },
    });
  };

  const without: number[] = [];
  const beside: number[] = [];
  await withTopic(brokers, filled, async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      without.push(await measure(WAIT_MS));
      beside.push(await measure(SLOW_MS));
      const [a, b] = [without, beside].map((all) => rounded(all.at(-1) ?? 0, 3));
      say(`${table}, round ${round}: the others take ${b} s beside it, ${a} s without`);
    }
  });
  const ideal = rounded(idealSeconds(others, CONCURRENCY, clock), 3);
  const row = (name: string, all: readonly number[]) => ({
    ...{ table, name, idealSeconds: ideal, seconds: rounded(median(all), 3) },
    recordsPerSecond: Math.round(others.length / median(all)),
  });
  return {
    rows: [row('without the slow key', without), row('beside the slow key', beside)],
    ratios: { othersBesideToWithout: rounded(median(beside) / median(without), 3) },
  };
};
