import { afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { CorruptRecordError, LogTruncatedError } from '../log-errors.ts';
import { type AskedPartition, type ScriptedAnswer, ScriptedBroker } from '../testing/scripted-broker.ts';
import { plainRecord, writeBatch } from '../testing/written-batch.ts';
import { pauseFor } from './bounded.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';
import { DirectReader } from './direct-reader.ts';

/*
 * What no checksum and no length covers is left alone where nobody could tell that it is wrong: of a batch its base offset, when it is the first or the
 * last one of an answer (compaction leaves gaps); of a partition its number, its error code, its offsets (high watermark, last stable offset, log
 * start), its aborted transactions and its preferred replica; of an answer its throttle time, its error code, its session and its topic ids.
 * A leader epoch is not covered either, but the broker looks at it when it is asked with it (KIP-320).
 */

const PARTITIONS = 2;
const END = 30;
const EPOCH = 5;
const BATCHES = 4;
const WAIT_MS = 10_000;
const AT_END_MS = 2;
const NOT_ASKED_FOR = 7;
const OUT_OF_RANGE = 1;

interface LoggedBatch {
  readonly lastOffset: number;
  readonly bytes: Buffer;
}

/** Records `0:v0`, `0:v1` … in batches of one to three, some of them packed. */
const logs: readonly (readonly LoggedBatch[])[] = Array.from({ length: PARTITIONS }, (_, partition) => {
  const batches: LoggedBatch[] = [];
  for (let baseOffset = 0; baseOffset < END; ) {
    const count = Math.min(1 + ((batches.length + partition) % 3), END - baseOffset);
    const records = Array.from({ length: count }, (_, i) => plainRecord(i, `${partition}:v${baseOffset + i}`));
    const packed = batches.length % 4 === 3 ? { compression: 'gzip' as const } : {};
    const bytes = writeBatch({ baseOffset, leaderEpoch: EPOCH, records, ...packed });
    baseOffset += count;
    batches.push({ lastOffset: baseOffset - 1, bytes });
  }
  return batches;
});

interface PartitionAnswer {
  readonly partition: number;
  readonly end: number;
  readonly errorCode?: number;
  readonly diverging?: { readonly epoch: number; readonly endOffset: number };
  batches: Buffer[];
}

function healthy(asked: readonly AskedPartition[]): PartitionAnswer[] {
  return asked.map(({ partition, offset, lastFetchedEpoch }) => {
    if (offset > END) return { partition, errorCode: OUT_OF_RANGE, end: END, batches: [] };
    const isDiverging = lastFetchedEpoch > EPOCH;
    if (isDiverging) return { partition, end: END, batches: [], diverging: { epoch: EPOCH, endOffset: END } };
    const batches = (logs[partition] ?? []).filter(({ lastOffset }) => lastOffset >= offset).slice(0, BATCHES);
    return { partition, end: END, batches: batches.map(({ bytes }) => Buffer.from(bytes)) };
  });
}

/** Numbers that a mangling takes its places from. */
interface Choice {
  readonly partition: number;
  readonly place: number;
  readonly other: number;
  readonly bit: number;
}

function flip(bytes: Buffer | undefined, at: number, bit: number): void {
  if (bytes !== undefined && at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << bit);
}

/** One out of these. */
function pick<T>(list: readonly T[], number: number): T | undefined {
  return list[number % Math.max(1, list.length)];
}

/** Of an answer before it is written. */
const contents: Readonly<Record<string, (answer: PartitionAnswer[], choice: Choice) => void>> = {
  'a bit of what a checksum covers'(answer, { partition, place, other, bit }) {
    const batch = pick(pick(answer, partition)?.batches ?? [], other);
    if (batch !== undefined) flip(batch, 21 + (place % (batch.length - 21)), bit);
  },
  'a bit of a length, a format or a checksum'(answer, { partition, place, other, bit }) {
    const at = [8, 9, 10, 11, 16, 17, 18, 19, 20][place % 9] as number;
    flip(pick(pick(answer, partition)?.batches ?? [], other), at, bit);
  },
  'a bit of the base offset of a batch between others'(answer, { partition, place, other, bit }) {
    flip(pick(pick(answer, partition)?.batches.slice(1, -1) ?? [], other), place % 8, bit);
  },
  'a bit of a leader epoch'(answer, { partition, place, other, bit }) {
    flip(pick(pick(answer, partition)?.batches ?? [], other), 12 + (place % 4), bit);
  },
  'two batches change places'(answer, { partition, place, other }) {
    const batches = pick(answer, partition)?.batches ?? [];
    if (batches.length === 0) return;
    const [a, b] = [place % batches.length, other % batches.length];
    [batches[a], batches[b]] = [batches[b] as Buffer, batches[a] as Buffer];
  },
  'all batches turn round'(answer, { partition }) {
    pick(answer, partition)?.batches.reverse();
  },
  'partitions change places'(answer) {
    answer.reverse();
  },
  'a partition twice'(answer, { partition }) {
    answer.push(...answer.slice(partition, partition + 1));
  },
  'a partition that was not asked for'(answer, { partition, bit }) {
    const one = pick(answer, partition);
    if (one !== undefined) answer.splice(partition, bit % 2, { ...one, partition: NOT_ASKED_FOR });
  },
};

/** Where the first ones of these stand in the bytes that go out: of the answer, of its topics, partitions, aborted transactions and records. */
const lengthsAt = [0, 1, 2, 3, 19, 36, 67, 72, 73];
const CORRELATION_ID = { from: 4, to: 8 };

/** Of the bytes that go out. */
const frames: Readonly<
  Record<string, (frame: Buffer, choice: Choice, earlier: readonly Buffer[]) => (Buffer | 'close')[]>
> = {
  'cut off, and closed': (frame, { place }) => [frame.subarray(0, place % frame.length), 'close'],
  'cut off, and silent': (frame, { place }) => [frame.subarray(0, place % frame.length)],
  'a bit of a length'(frame, { place, bit }) {
    flip(frame, pick(lengthsAt, place) as number, bit);
    return [frame];
  },
  'the body of an earlier one'(frame, { place }, earlier) {
    const body = (pick(earlier, place) ?? frame).subarray(CORRELATION_ID.to);
    const bytes = Buffer.concat([frame.subarray(0, CORRELATION_ID.to), body]);
    bytes.writeInt32BE(bytes.length - CORRELATION_ID.from);
    return [bytes];
  },
  'an earlier one in front': (frame, { place }, earlier) => [pick(earlier, place) ?? frame, frame],
  twice: (frame) => [frame, frame],
  'another correlation id'(frame, { place, bit }) {
    flip(frame, CORRELATION_ID.from + (place % 4), bit);
    return [frame];
  },
};

const kinds = [...Object.keys(contents), ...Object.keys(frames)];
const mangling = fc.record({
  /** So many are answered as they should be before. */
  healthyBefore: fc.nat({ max: 2 }),
  kind: fc.constantFrom(...kinds),
  ...{ partition: fc.nat({ max: PARTITIONS - 1 }), place: fc.nat(), other: fc.nat(), bit: fc.nat({ max: 7 }) },
});
type Mangling = Choice & { readonly kind: string; readonly healthyBefore: number };

/** A broker that mangles some of its answers, and what is read of it. */
class MangledReading {
  readonly records: string[][] = Array.from({ length: PARTITIONS }, () => []);
  readonly errors: KafkaWorkerError[] = [];
  /** For librdkafka to go on: what came three times in a row was of a format that only that reads. */
  readonly left: number[] = [];
  readonly #broker: ScriptedBroker;
  readonly #manglings: Mangling[];
  readonly #reader: DirectReader;
  #healthyLeft: number;

  constructor(broker: ScriptedBroker, library: DirectLibrary, manglings: readonly Mangling[]) {
    this.#broker = broker;
    this.#manglings = [...manglings];
    this.#healthyLeft = manglings[0]?.healthyBefore ?? 0;
    broker.leaders = this.records.map(() => ({ id: 1, epoch: EPOCH }));
    broker.answer = (asked) => this.#answer(asked);
    const options = {
      ...{ brokers: [`127.0.0.1:${broker.port}`], clientId: 'test', rack: '', isReadCommitted: true },
      ...{ maxWaitMs: 20, minBytes: 1, responseBytes: 1 << 20, partitionBytes: 1 << 17 },
      connection: { connectTimeout: 1_000, requestTimeout: 100 },
    };
    this.#reader = new DirectReader(library, options, {
      rangeOf: () => Promise.resolve({ earliest: 0, latest: END }),
      report: (error) => this.errors.push(error),
      leave: (owned) => {
        owned.leave();
        this.left.push(owned.partition);
      },
      changed: () => this.#take(),
    });
    this.#reader.own(this.records.map((_, partition) => ({ topic: 't', partition, offset: 0 })));
  }

  /** Those that are not read any more. */
  get stopped(): number[] {
    return [...this.#reader.owned].filter(({ stoppedBy }) => stoppedBy !== undefined).map(({ partition }) => partition);
  }

  async end(): Promise<void> {
    const isRead = (): boolean => this.records.every(({ length }, i) => length >= END || this.stopped.includes(i));
    const isOver = (): boolean => this.#manglings.length === 0 || this.stopped.length === PARTITIONS;
    for (const deadline = Date.now() + WAIT_MS; !isRead() || !isOver(); await pauseFor(1)) {
      if (Date.now() > deadline)
        throw new Error(`it does not go on: ${this.records.map(({ length }) => length)}; ${this.errors}`);
    }
  }

  stop(): void {
    this.#reader.stop();
  }

  async #answer(asked: readonly AskedPartition[]): Promise<ScriptedAnswer> {
    if (asked.every(({ offset }) => offset >= END)) await pauseFor(AT_END_MS);
    const answer = healthy(asked);
    this.#broker.mangle = (frame) => [frame];
    const [next] = this.#manglings;
    if (next !== undefined && this.#healthyLeft-- <= 0) {
      this.#manglings.shift();
      this.#healthyLeft = this.#manglings[0]?.healthyBefore ?? 0;
      contents[next.kind]?.(answer, next);
      const ofBytes = frames[next.kind];
      if (ofBytes !== undefined) this.#broker.mangle = (frame, earlier) => ofBytes(Buffer.from(frame), next, earlier);
    }
    return { partitions: answer.map(({ batches, ...rest }) => ({ ...rest, records: Buffer.concat(batches) })) };
  }

  #take(): void {
    for (const { partition, offset, value } of this.#reader.take(1_000).records)
      this.records[partition]?.push(`${offset} ${value}`);
  }
}

let library: DirectLibrary;
beforeAll(async () => {
  library = await loadDirectLibrary();
});
beforeEach(() => {
  // Waits after failures have tests of their own: here they take no time.
  jest.spyOn(Math, 'random').mockReturnValue(-1.5);
});
afterEach(() => {
  jest.restoreAllMocks();
});

it('records come all, once, in order, or with an error that says what is wrong, whatever becomes of answers on their way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mangling, { minLength: 1, maxLength: 6 }), async (manglings) => {
      const broker = await new ScriptedBroker(1).start();
      const reading = new MangledReading(broker, library, manglings);
      try {
        await reading.end();
        const { records, errors, stopped, left } = reading;
        const codes = new Set(errors.map(({ code }) => code));
        expect(['CORRUPT_RECORD', 'CONNECTION', 'POLL', 'LOG_TRUNCATED']).toEqual(expect.arrayContaining([...codes]));
        for (const [partition, own] of records.entries()) {
          const all = Array.from({ length: END }, (_, i) => `${i} ${partition}:v${i}`);
          expect(own).toEqual(stopped.includes(partition) ? all.slice(0, own.length) : all);
        }
        const told = errors.filter(
          (error) => error instanceof CorruptRecordError || error instanceof LogTruncatedError,
        );
        expect([...left, ...told.map(({ partition }) => partition)].sort()).toEqual(stopped.sort());
      } finally {
        reading.stop();
        await broker.stop();
      }
    }),
    { numRuns: 60, plugins: [fc.interruptAfterTimeLimit(20_000)] },
  );
}, 60_000);
