import {
  type ConcurrencyStrategy,
  HeaderList,
  OwnedRecord,
  type Plugin,
  type ReceivedRecord,
  Worker,
} from '@kafka-worker/core';
import { serial } from '@kafka-worker/strategies';
import { replayedKafka } from '../replayed-kafka.ts';

const PARTITIONS = 8;

/** What a worker is run with. */
export interface ReplayedRun {
  readonly records: readonly ReceivedRecord[];
  readonly plugins: readonly Plugin[];
  readonly handler: () => unknown;
  /** @defaultValue `serial()` */
  readonly concurrency?: ConcurrencyStrategy;
  /** Called when the first record is handled, and once more when the last is. */
  readonly mark?: () => void;
}

/** What it took, from the first handler call until every record is handled. */
export interface RunCost {
  readonly seconds: number;
  /** Of the processor, all threads together, for each record. */
  readonly cpuMicroseconds: number;
}

/** Records that carry a trace context, sampled or not, as a producer with tracing sends them. */
export function tracedRecords(count: number, isSampled: boolean): ReceivedRecord[] {
  const keys = Array.from({ length: 1_000 }, (_, i) => Buffer.from(`key-${i}`));
  const value = Buffer.alloc(100, 'x');
  const hex = (i: number, digits: number): string => (i + 1).toString(16).padStart(digits, '0');
  return Array.from({ length: count }, (_, i) => {
    const traceparent = `00-${hex(i, 32)}-${hex(i, 16)}-0${isSampled ? 1 : 0}`;
    const headers = new HeaderList([['traceparent', Buffer.from(traceparent)]]);
    const offset = Math.floor(i / PARTITIONS);
    return new OwnedRecord('replayed', i % PARTITIONS, offset, 0, keys[i % keys.length] ?? null, value, headers);
  });
}

/** Lets a worker handle records that were made before, without a broker. */
export async function replay({ records, plugins, handler, concurrency, mark }: ReplayedRun): Promise<RunCost> {
  let handled = 0;
  let startedAt = 0;
  let cpuBefore = process.cpuUsage();
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const worker = new Worker({
    kafka: replayedKafka('replayed', PARTITIONS, records),
    ...{ groupId: 'bench', topics: 'replayed', concurrency: concurrency ?? serial(), plugins },
    handler: () => {
      if (handled === 0) {
        mark?.();
        startedAt = performance.now();
        cpuBefore = process.cpuUsage();
      }
      if (++handled === records.length) finish();
      return handler();
    },
  });
  await worker.start();
  await finished;
  const cost = costSince(startedAt, cpuBefore, records.length);
  mark?.();
  const summary = await worker.stop({ mode: 'drain' });
  if (summary.handled !== records.length) throw new Error(`handled ${summary.handled} of ${records.length}`);
  return cost;
}

/** The cost of something that was begun then. */
export function costSince(startedAt: number, cpuBefore: NodeJS.CpuUsage, records: number): RunCost {
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { seconds, cpuMicroseconds: (user + system) / records };
}
