import { afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';
import { CorruptRecordError, LogTruncatedError } from '../log-errors.ts';
import { type Choice, contentManglings, frameManglings, type PartitionAnswer } from '../testing/answer-manglings.ts';
import { type AskedPartition, type ScriptedAnswer, ScriptedBroker } from '../testing/scripted-broker.ts';
import { plainRecord, writeBatch } from '../testing/written-batch.ts';
import { pauseFor } from './bounded.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';
import { DirectReader } from './direct-reader.ts';

const PARTITIONS = 2;
const END = 30;
const EPOCH = 5;
const BATCHES = 4;
const WAIT_MS = 10_000;
const AT_END_MS = 2;
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

function healthy(asked: readonly AskedPartition[]): PartitionAnswer[] {
  return asked.map(({ partition, offset, lastFetchedEpoch }) => {
    if (offset > END) return { partition, errorCode: OUT_OF_RANGE, end: END, batches: [] };
    const isDiverging = lastFetchedEpoch > EPOCH;
    if (isDiverging) return { partition, end: END, batches: [], diverging: { epoch: EPOCH, endOffset: END } };
    const batches = (logs[partition] ?? []).filter(({ lastOffset }) => lastOffset >= offset).slice(0, BATCHES);
    return { partition, end: END, batches: batches.map(({ bytes }) => Buffer.from(bytes)) };
  });
}

const kinds = [...Object.keys(contentManglings), ...Object.keys(frameManglings)];
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
      contentManglings[next.kind]?.(answer, next);
      const ofBytes = frameManglings[next.kind];
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
