import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@kafka-worker/core';
import { confluentKafka } from '@kafka-worker/core/confluent';
import { perKey, perPartition } from '@kafka-worker/strategies';
import { Load } from '../load.ts';
import { type Footprint, footprint } from './footprint.ts';

/** The process at one time, when one worker and no other was there. */
export interface Sample extends Footprint {
  readonly minutes: number;
  readonly handled: number;
  /** Workers that had come and gone. */
  readonly gone: number;
}

/** What a soak did, and what it looked like. */
export interface Soak {
  readonly samples: readonly Sample[];
  readonly written: number;
  readonly handled: number;
}

export interface SoakOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly recordsPerSecond: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const TOGETHER_MS = 3_000;
const ALONE_MS = 1_000;
const HEARTBEAT_MS = 300;
const REST_MS = 30_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Lets one worker run all the time while others of its group come and go, in this process, and records flow. */
export async function soak(options: SoakOptions): Promise<Soak> {
  const { brokers, topic, seconds, say, signal } = options;
  let handled = 0;
  let written = 0;
  const kafka = confluentKafka({
    brokers: brokers.split(','),
    librdkafka: { 'heartbeat.interval.ms': HEARTBEAT_MS, 'session.timeout.ms': 10 * HEARTBEAT_MS },
  });
  const workerOf = (strategy: 'perKey' | 'perPartition'): Worker =>
    new Worker({
      ...{ kafka, groupId: topic, topics: topic, logger: quiet },
      concurrency: strategy === 'perKey' ? perKey() : perPartition(),
      handler: async () => {
        await sleep(1);
        handled++;
      },
    });
  const load = new Load({ ...options, written: () => written++ });
  const steady = workerOf('perPartition');
  const samples: Sample[] = [];
  try {
    await load.start();
    await steady.start();
    const startedAt = performance.now();
    for (let gone = 0; performance.now() - startedAt < seconds * 1_000; gone++) {
      const other = workerOf(gone % 2 === 0 ? 'perKey' : 'perPartition');
      const assigned = new Promise((resolve) => void other.on('assigned', resolve));
      await other.start();
      await Promise.race([assigned, other.finished]);
      await sleep(TOGETHER_MS, undefined, { signal });
      await other.stop();
      await sleep(ALONE_MS, undefined, { signal });
      const minutes = Math.round((performance.now() - startedAt) / 600) / 100;
      const sample = { minutes, handled, gone: gone + 1, ...(await footprint()) };
      samples.push(sample);
      say(JSON.stringify(sample));
    }
    await load.stop();
    const deadline = Date.now() + REST_MS;
    while (handled < written && Date.now() < deadline) await sleep(100);
  } finally {
    await load.stop(0);
    await steady.stop();
  }
  return { samples, written, handled };
}
