// The proof `soak`: npm run prove -- soak. By itself: node --import tsx --conditions=@kafka-worker/source bench/soak.ts [--seconds N] [--json]
// Whether a process holds more and more while records flow and workers come and go in it. The last line of --json is what was measured.

import { systemClock } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { readCommandLine, reportFailure, UsageError } from '../scripts/command-line.ts';
import { interruption } from '../scripts/interruption.ts';
import { type Sample, type Soak, soak } from './soak/churn.ts';
import type { Footprint } from './soak/footprint.ts';
import { slopePerMinute } from './soak/slope.ts';
import { rounded } from './statistics.ts';
import { withBroker } from './with-broker.ts';

/** What each figure may grow by per minute, in the second half of the samples. */
const bounds: Readonly<Record<keyof Footprint, number>> = {
  heapMiB: 0.2,
  rssMiB: 2,
  handles: 0.5,
  descriptors: 0.5,
  threads: 0.5,
};
const PARTITIONS = 8;
const RECORDS_PER_SECOND = 500;
/** Fewer would say nothing about a slope. */
const MIN_SAMPLES = 10;

const usage = 'node --import tsx --conditions=@kafka-worker/source bench/soak.ts [--seconds N] [--json]';
const options = { seconds: { type: 'string', default: '600' }, json: { type: 'boolean', default: false } } as const;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

try {
  const { values } = readCommandLine({ usage, options }, process.argv.slice(2));
  const seconds = Number(values.seconds);
  if (!/^\d+$/.test(values.seconds) || seconds === 0)
    throw new UsageError(`--seconds is a whole number\nusage: ${usage}`);
  await withBroker(console.log, (brokers) => main(brokers, seconds, values.json));
} catch (error) {
  reportFailure(error);
}

async function main(brokers: string, seconds: number, asJson: boolean): Promise<void> {
  const topic = `soak-${process.pid}`;
  const admin = confluentKafka({ brokers: brokers.split(',') }).admin({ clock: systemClock, logger: quiet });
  await admin.connect({ timeoutMs: 30_000 });
  await admin.createTopic(topic, { partitions: PARTITIONS });
  try {
    const setting = { brokers, topic, partitions: PARTITIONS, recordsPerSecond: RECORDS_PER_SECOND, seconds };
    report(await soak({ ...setting, say: console.log, signal: interruption() }), seconds, asJson);
  } finally {
    await admin.deleteTopic(topic);
    await admin.close();
  }
}

function report({ samples, written, handled }: Soak, seconds: number, asJson: boolean): void {
  const secondHalf = samples.slice(Math.floor(samples.length / 2));
  const slope = (figure: keyof Footprint): number =>
    rounded(
      slopePerMinute(secondHalf.map((sample: Sample) => ({ minutes: sample.minutes, value: sample[figure] }))),
      3,
    );
  const figures = Object.keys(bounds) as (keyof Footprint)[];
  const perMinute = Object.fromEntries(figures.map((figure) => [figure, slope(figure)])) as Record<
    keyof Footprint,
    number
  >;
  const violations = [
    ...figures
      .filter((figure) => perMinute[figure] > bounds[figure])
      .map((figure) => `${figure} grows by ${perMinute[figure]} a minute`),
    ...(handled < written ? [`${written - handled} records were not handled`] : []),
    ...(samples.length < MIN_SAMPLES ? [`only ${samples.length} samples`] : []),
  ];
  console.table(figures.map((figure) => ({ figure, perMinute: perMinute[figure], bound: bounds[figure] })));
  for (const violation of violations) console.log(`VIOLATED: ${violation}`);
  if (violations.length > 0) process.exitCode = 1;
  const workersGone = samples.at(-1)?.gone ?? 0;
  if (asJson)
    console.log(
      JSON.stringify({
        seconds,
        recordsPerSecond: RECORDS_PER_SECOND,
        written,
        handled,
        workersGone,
        perMinute,
        bounds,
        violations,
        samples,
      }),
    );
}
