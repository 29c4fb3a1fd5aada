import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { noHeaders, OwnedRecord, Worker } from '@kafka-worker/core';
import { perKey } from '@kafka-worker/strategies';
import type { Bench, BenchRow } from './bench.ts';
import { type ReplayedRecords, replayedKafka } from './replayed-kafka.ts';
import { rounded } from './statistics.ts';

const PARTITIONS = 8;
const LOOKS = 10;
/** Of so many calls one waits, so that lanes are kept beside those that come and go at once. */
const WAITS_EVERY = 50;
const MIB = 2 ** 20;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export const keysBench: Bench = {
  name: 'keys',
  question:
    'Does memory grow with the keys that have been seen? 10,000,000 records, each with a key of its own, perKey, no broker.',
  async run(say, isQuick) {
    const count = isQuick ? 100_000 : 10_000_000;
    const rows: BenchRow[] = [];
    const heaps: number[] = [];
    let handled = 0;
    let finish = (): void => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const look = (): void => {
      collectGarbage();
      const heapMiB = process.memoryUsage().heapUsed / MIB;
      heaps.push(heapMiB);
      rows.push({ name: `after ${handled.toLocaleString('en')} keys`, heapMiB: rounded(heapMiB) });
      say(JSON.stringify(rows.at(-1)));
    };
    const worker = new Worker({
      ...{ kafka: replayedKafka('replayed', PARTITIONS, distinctKeys(count)), groupId: 'bench', topics: 'replayed' },
      concurrency: perKey({ concurrency: 100 }),
      handler: () => {
        handled++;
        if (handled % (count / LOOKS) === 0) look();
        if (handled === count) finish();
        return handled % WAITS_EVERY === 0 ? nextTurn() : undefined;
      },
    });
    await worker.start();
    await finished;
    const summary = await worker.stop({ mode: 'drain' });
    if (summary.handled !== count) throw new Error(`handled ${summary.handled} of ${count}`);
    return { rows, ratios: { heapLastToFirst: rounded((heaps.at(-1) ?? Number.NaN) / (heaps[0] ?? Number.NaN), 3) } };
  },
};

/** Made as they are asked for: ten million of them would be what fills the memory. */
function distinctKeys(count: number): ReplayedRecords {
  const value = Buffer.alloc(100, 'x');
  const recordAt = (i: number): OwnedRecord =>
    new OwnedRecord(
      'replayed',
      i % PARTITIONS,
      Math.floor(i / PARTITIONS),
      0,
      Buffer.from(`key-${i}`),
      value,
      noHeaders,
    );
  return {
    length: count,
    slice: (from, to) => Array.from({ length: Math.min(to, count) - from }, (_, i) => recordAt(from + i)),
  };
}
