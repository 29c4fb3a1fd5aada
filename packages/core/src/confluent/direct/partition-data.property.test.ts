import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type WrittenBatch, type WrittenRecord, writeBatch } from '../../testing/written-batch.ts';
import type { BatchCodecs } from './batch-codecs.ts';
import { HEADER_BYTES } from './batch-header.ts';
import { loadDirectLibrary } from './direct-library.ts';
import type { DirectRecord } from './direct-record.ts';
import { MalformedBytes } from './malformed-bytes.ts';
import { type PartitionData, readPartitionData } from './partition-data.ts';

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const bytesOrNull = fc.option(bytes, { nil: null });
const record = fc.record({
  timestampDelta: fc.integer({ min: -1_000_000, max: 2 ** 40 }),
  key: bytesOrNull,
  value: fc.oneof(bytesOrNull, fc.constant(Buffer.alloc(300, 'x'))),
  headers: fc.array(fc.tuple(fc.constantFrom('', 'a', 'b', 'ü'), bytesOrNull), { maxLength: 4 }),
});
/** Gaps between offsets are what compaction leaves. */
const batch = fc
  .record({
    records: fc.array(fc.tuple(fc.nat({ max: 3 }), record), { minLength: 1, maxLength: 8 }),
    compression: fc.constantFrom(undefined, 'gzip' as const, 'snappy' as const, 'lz4' as const),
    gap: fc.nat({ max: 5 }),
    baseTimestamp: fc.integer({ min: 0, max: 2 ** 45 }),
  })
  .map(({ records, compression, gap, baseTimestamp }) => {
    let delta = -1;
    const written: WrittenRecord[] = records.map(([skipped, one]) => {
      delta += skipped + 1;
      return { ...one, offsetDelta: delta };
    });
    return { records: written, gap, baseTimestamp, ...(compression && { compression }) };
  });
const log = fc.array(batch, { minLength: 1, maxLength: 4 }).map((batches) => {
  let baseOffset = 0;
  return batches.map(({ gap, ...one }): WrittenBatch & { baseOffset: number } => {
    const at = baseOffset + gap;
    baseOffset = at + (one.records.at(-1)?.offsetDelta ?? 0) + 1;
    return { ...one, baseOffset: at };
  });
});

let codecs: BatchCodecs;
beforeAll(async () => {
  ({ codecs } = await loadDirectLibrary());
});

const read = (all: Buffer, from = 0): PartitionData =>
  readPartitionData({ topic: 't', partition: 3, bytes: all, from, abortedTransactions: [] }, codecs);

/** In as many goes as it takes, a few at a time. */
function recordsOf(data: PartitionData, atATime = 3): DirectRecord[] {
  const records: DirectRecord[] = [];
  for (const one of data.batches) while (!one.isRead) one.read(atATime, records);
  return records;
}

/** What a record says, for comparing. */
const plain = (record: DirectRecord) => {
  const { topic, partition, offset, timestamp } = record;
  // Told before the buffer of the key is made.
  const laneKey = record.keyAsLatin1();
  const { key, value, headers } = record;
  return {
    ...{ topic, partition, offset, timestamp, laneKey },
    ...{ key: key?.toString('hex') ?? null, value: value?.toString('hex') ?? null },
    headers: Array.from(headers, ([name, own]) => [name, own?.toString('hex') ?? null]),
  };
};

const expectedOf = (batches: readonly (WrittenBatch & { baseOffset: number })[]) =>
  batches.flatMap(({ baseOffset, baseTimestamp = 0, records }) =>
    records.map(({ offsetDelta, timestampDelta, key, value, headers }) => ({
      ...{ topic: 't', partition: 3, offset: baseOffset + offsetDelta, timestamp: baseTimestamp + timestampDelta },
      laneKey: key?.toString('latin1') ?? null,
      ...{ key: key?.toString('hex') ?? null, value: value?.toString('hex') ?? null },
      headers: headers.map(([name, own]) => [name, own?.toString('hex') ?? null]),
    })),
  );

describe('what came of a partition', () => {
  it('is read as it was written, from any offset', () => {
    fc.assert(
      fc.property(log, fc.nat({ max: 30 }), (batches, from) => {
        const expected = expectedOf(batches).filter(({ offset }) => offset >= from);
        // A broker begins with the batch that has the offset, or the next one.
        const last = ({ baseOffset, records }: (typeof batches)[number]): number =>
          baseOffset + (records.at(-1)?.offsetDelta ?? 0);
        const sent = batches.filter((one) => last(one) >= from);
        const data = read(Buffer.concat(sent.map(writeBatch)), from);
        expect(data.corrupt).toBeUndefined();
        expect(recordsOf(data).map(plain)).toEqual(expected);
        const end = sent.at(-1);
        expect(data.next).toBe(end === undefined ? from : last(end) + 1);
      }),
    );
  });

  it('ends in front of a batch that is cut off, wherever that is', () => {
    fc.assert(
      fc.property(log, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (batches, part) => {
        const parts = batches.map(writeBatch);
        const all = Buffer.concat(parts);
        const kept = Math.floor(all.length * part);
        let whole = 0;
        for (let length = parts[0]?.length ?? 0; length <= kept; length += parts[whole]?.length ?? 1) whole++;
        const data = read(all.subarray(0, kept));
        expect(data.corrupt).toBeUndefined();
        expect(recordsOf(data).map(plain)).toEqual(expectedOf(batches.slice(0, whole)));
      }),
    );
  });

  it('is never a wrong record where its batches come in another order: those before the first missing offset, and an error', () => {
    const shuffled = log.chain((batches) =>
      fc.tuple(fc.constant(batches), fc.shuffledSubarray(batches, { minLength: batches.length })),
    );
    fc.assert(
      fc.property(shuffled, ([batches, sent]) => {
        const data = read(Buffer.concat(sent.map(writeBatch)));
        const expected = expectedOf(batches);
        const isInOrder = sent.every((one, i) => one === batches[i]);
        const records = recordsOf(data).map(plain);
        expect(records).toEqual(isInOrder ? expected : expected.slice(0, records.length));
        expect(data.corrupt === undefined).toBe(isInOrder);
        // The next request is for what is missing.
        expect(expected.find(({ offset }) => offset >= data.next)).toEqual(expected[records.length]);
      }),
      { numRuns: 300 },
    );
  });

  it('is never a wrong record where a bit is flipped: those before it, and an error', () => {
    fc.assert(
      fc.property(log, fc.nat(), fc.nat({ max: 7 }), (batches, place, bit) => {
        const parts = batches.map(writeBatch);
        const all = Buffer.concat(parts);
        const at = place % all.length;
        all[at] = (all[at] as number) ^ (1 << bit);
        let first = 0;
        let start = 0;
        for (let end = parts[0]?.length ?? 0; end <= at; end += parts[first]?.length ?? 1) {
          first++;
          start = end;
        }
        const inside = at - start;
        const data = read(all);
        const records = recordsOf(data).map(plain);
        // No checksum holds for a batch's offset and epoch, in Kafka's format: only that offsets rise.
        if (inside < 8 || (inside >= 12 && inside < 16)) return;
        expect(records).toEqual(expectedOf(batches.slice(0, first)));
        // A length that is too great makes a batch that is cut off.
        if (inside >= 12) expect(data.corrupt).toBeDefined();
      }),
      { numRuns: 1_000 },
    );
  });

  it('is never a hang or another error, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (array, isFramed) => {
        const content = Buffer.from(array);
        // As a batch whose header and checksum are right, so that only what is inside can be wrong.
        const all = isFramed ? reframed(content) : content;
        const data = read(all);
        try {
          recordsOf(data);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBytes);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

/** A batch that holds these bytes in place of its records. */
function reframed(content: Buffer): Buffer {
  const header = writeBatch({ records: [] }).subarray(0, HEADER_BYTES);
  const all = Buffer.concat([header, content]);
  all.writeInt32BE(all.length - 12, 8);
  // Attributes: one of the codecs, or one that there is not.
  all.writeInt16BE((content[0] ?? 0) % 6, 21);
  all.writeInt32BE(5, 23);
  all.writeInt32BE(5, 57);
  all.writeUInt32BE(codecs.crc32c(all.subarray(21)), 17);
  return all;
}
