import { noHeaders, OwnedRecord, type ReceivedRecord, Worker } from '@kafka-worker/core';
import { serial } from '@kafka-worker/strategies';
import type { Bench, BenchRow } from './bench.ts';
import { replayedKafka } from './replayed-kafka.ts';
import { median, rounded } from './statistics.ts';

const RECORDS = 1_000_000;
const PARTITIONS = 8;
const ROUNDS = 5;

type Handler = () => unknown;

const cases: readonly { readonly name: string; readonly handler: Handler; readonly listens: boolean }[] = [
  { name: 'returns nothing', handler: () => undefined, listens: false },
  { name: 'async', handler: async () => {}, listens: false },
  { name: 'returns nothing, settled listener', handler: () => undefined, listens: true },
];

export const engineBench: Bench = {
  name: 'engine',
  question: `What does the worker itself cost? ${RECORDS} records of 100 bytes, made before, serial, no broker.`,
  async run(say) {
    const records = makeRecords();
    const rates = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
    // The first round warms the compiler up and does not count.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const { name, handler, listens } of cases) {
        const rate = await measure(records, handler, listens);
        if (round > 0) rates.get(name)?.push(rate);
        say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${name}: ${Math.round(rate)} records/s`);
      }
    }
    const rows: BenchRow[] = [...rates].map(([name, values]) => ({
      name,
      recordsPerSecond: Math.round(median(values)),
    }));
    const rate = (name: string): number => Number(rows.find((row) => row.name === name)?.recordsPerSecond);
    return {
      rows,
      ratios: {
        asyncToSync: rounded(rate('async') / rate('returns nothing')),
        listenerToNone: rounded(rate('returns nothing, settled listener') / rate('returns nothing')),
      },
    };
  },
};

function makeRecords(): ReceivedRecord[] {
  const keys = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`key-${i}`));
  const value = Buffer.alloc(100, 'x');
  return Array.from({ length: RECORDS }, (_, i) => {
    const offset = Math.floor(i / PARTITIONS);
    return new OwnedRecord('replayed', i % PARTITIONS, offset, 0, keys[i % keys.length] ?? null, value, noHeaders);
  });
}

async function measure(records: readonly ReceivedRecord[], handler: Handler, listens: boolean): Promise<number> {
  let handled = 0;
  let settled = 0;
  let startedAt = 0;
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const worker = new Worker({
    kafka: replayedKafka('replayed', PARTITIONS, records),
    groupId: 'bench',
    topics: 'replayed',
    concurrency: serial(),
    handler: () => {
      if (handled === 0) startedAt = performance.now();
      if (++handled === RECORDS) finish();
      return handler();
    },
  });
  if (listens) worker.on('settled', () => settled++);
  await worker.start();
  await finished;
  const seconds = (performance.now() - startedAt) / 1_000;
  const summary = await worker.stop({ mode: 'drain' });
  if (summary.handled !== RECORDS || (listens && settled !== RECORDS))
    throw new Error(`handled ${summary.handled}, settled ${settled}`);
  return RECORDS / seconds;
}
