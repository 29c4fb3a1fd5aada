import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { compressionsAlgorithms } from '@platformatic/kafka';
import { plainRecord, TRANSACTIONAL, writeBatch, writeMarker } from '../../testing/written-batch.ts';
import type { BatchCodecs } from './batch-codecs.ts';
import { loadDirectLibrary } from './direct-library.ts';
import type { DirectRecord } from './direct-record.ts';
import type { AbortedTransaction } from './fetch-response.ts';
import { type PartitionData, readPartitionData } from './partition-data.ts';
import { unsnappy } from './snappy.ts';

let codecs: BatchCodecs;
beforeAll(async () => {
  ({ codecs } = await loadDirectLibrary());
});

const read = (parts: readonly Buffer[], aborted?: readonly AbortedTransaction[], from = 0): PartitionData =>
  readPartitionData(
    { topic: 't', partition: 0, bytes: Buffer.concat(parts), from, abortedTransactions: aborted },
    codecs,
  );

function valuesOf(data: PartitionData): string[] {
  const records: DirectRecord[] = [];
  for (const batch of data.batches) while (!batch.isRead) batch.read(100, records);
  return records.map(({ value }) => String(value));
}

const written = (baseOffset: number, producerId: number, ...values: string[]): Buffer =>
  writeBatch({ baseOffset, producerId, attributes: TRANSACTIONAL, records: values.map((v, i) => plainRecord(i, v)) });

describe('a partition of transactions', () => {
  const log = [
    written(0, 1, 'a', 'b'),
    written(2, 2, 'c'),
    writeMarker('abort', 3, 1),
    written(4, 1, 'd'),
    writeMarker('commit', 5, 2),
    writeMarker('commit', 6, 1),
  ];

  it('leaves out what aborted ones wrote, of that producer, up to their end', () => {
    const data = read(log, [{ producerId: 1, firstOffset: 0 }]);
    expect(valuesOf(data)).toEqual(['c', 'd']);
    expect(data.next).toBe(7);
  });

  it('has all that was written where transactions are not looked at, and never a marker', () => {
    expect(valuesOf(read(log))).toEqual(['a', 'b', 'c', 'd']);
  });

  it('leaves out nothing that is written outside of transactions', () => {
    const plain = writeBatch({ baseOffset: 0, producerId: 1, records: [plainRecord(0, 'x')] });
    expect(valuesOf(read([plain], [{ producerId: 1, firstOffset: 0 }]))).toEqual(['x']);
  });
});

/** A batch of the epoch that its first offset says. */
const at = (baseOffset: number, ...values: string[]): Buffer =>
  writeBatch({ baseOffset, leaderEpoch: baseOffset, records: values.map((v, i) => plainRecord(i, v)) });

describe('a batch', () => {
  it('that compaction has left empty is passed over', () => {
    const empty = writeBatch({ baseOffset: 5, records: [], lastOffsetDelta: 9 });
    const data = read([empty], undefined, 7);
    expect([data.next, data.batches.length, data.corrupt]).toEqual([15, 0, undefined]);
  });

  it('whose topic has the time of the log gives that to all its records', () => {
    const LOG_APPEND_TIME = 1 << 3;
    const records = [0, 1].map((i) => ({ ...plainRecord(i, 'x'), timestampDelta: i }));
    const all: DirectRecord[] = [];
    const [batch] = read([
      writeBatch({ records, attributes: LOG_APPEND_TIME, baseTimestamp: 5, maxTimestamp: 70 }),
    ]).batches;
    batch?.read(10, all);
    expect(all.map(({ timestamp }) => timestamp)).toEqual([70, 70]);
  });

  it('of the format before Kafka 0.11 is for librdkafka', () => {
    const old = Buffer.alloc(40);
    old.writeInt32BE(28, 8);
    old.writeInt8(1, 16);
    expect(read([old]).corrupt).toMatchObject({ isForLibrdkafka: true, reason: expect.stringMatching(/format 1/) });
    old.writeInt8(3, 16);
    expect(read([old]).corrupt).toMatchObject({ isForLibrdkafka: false });
  });

  it('has times of any size, though they are no longer exact then', () => {
    const nanoseconds = 1_763_800_000_000_000_000;
    const records = [-4, 0, nanoseconds].map((timestampDelta, i) => ({ ...plainRecord(i, 'x'), timestampDelta }));
    const all: DirectRecord[] = [];
    const data = read([
      writeBatch({ records }),
      writeBatch({ baseOffset: 3, baseTimestamp: nanoseconds, records: [plainRecord(0, 'x')] }),
    ]);
    for (const batch of data.batches) batch.read(10, all);
    expect(all.map(({ timestamp }) => timestamp)).toEqual([-4, 0, nanoseconds, nanoseconds]);
  });

  it('that is corrupt names its offsets, and what is whole before it stays', () => {
    const second = writeBatch({ baseOffset: 1, records: [plainRecord(0, 'b'), plainRecord(1, 'c')] });
    second[second.length - 1] = 0xff;
    const data = read([writeBatch({ records: [plainRecord(0, 'a')] }), second]);
    expect(valuesOf(data)).toEqual(['a']);
    expect(data.corrupt).toMatchObject({ firstOffset: 1, lastOffset: 2, reason: expect.stringMatching(/checksum/) });
    expect(data.next).toBe(1);
  });

  it('is refused where offsets do not rise', () => {
    const twice = [plainRecord(1, 'a'), plainRecord(1, 'b')];
    const [batch] = read([writeBatch({ records: twice })]).batches;
    expect(() => batch?.read(10, [])).toThrow(/offset 1 out of its order/);
  });

  it('that ends before what was asked for is corrupt', () => {
    expect(read([at(3, 'a', 'b')], undefined, 5).corrupt?.reason).toMatch(/ends at 4, before 5/);
  });

  it('may begin before what was asked for, and not before the end of the one in front of it', () => {
    const data = read([at(3, 'a', 'b', 'c'), at(5, 'd', 'e')], undefined, 4);
    expect([valuesOf(data), data.next]).toEqual([['b', 'c'], 6]);
    const reason = 'a batch from 5 to 6 stands behind one that ends at 5';
    expect(data.corrupt).toEqual({ firstOffset: 6, lastOffset: 6, reason, isForLibrdkafka: false });
  });

  it('that goes backwards makes all unsure that is behind a missing offset: one of them stands in a wrong place', () => {
    const data = read([at(0, 'a'), at(1, 'b'), at(4, 'e', 'f'), at(6, 'g'), at(2, 'c', 'd')]);
    expect([valuesOf(data), data.next, data.leaderEpoch]).toEqual([['a', 'b'], 2, 1]);
    expect(data.corrupt).toMatchObject({ firstOffset: 2, lastOffset: 3, reason: expect.stringMatching(/from 2 to 3/) });
    const first = read([at(4, 'e'), at(0, 'a')]);
    expect([valuesOf(first), first.next, first.leaderEpoch]).toEqual([[], 0, undefined]);
  });

  it('comes though offsets in front of it are missing', () => {
    const data = read([at(2, 'c'), at(5, 'f'), at(9, 'j')]);
    expect([valuesOf(data), data.next, data.corrupt]).toEqual([['c', 'f', 'j'], 10, undefined]);
  });

  it('keeps in memory what it came in, and its records say how much that is, and how much of it is theirs', () => {
    const batches = [0, 2].map((baseOffset) =>
      writeBatch({ baseOffset, records: [plainRecord(0, 'x'.repeat(10_000)), plainRecord(1, '')] }),
    );
    const all: DirectRecord[] = [];
    for (const batch of read(batches).batches) batch.read(2, all);
    expect(all[0]?.sizeBytes).toBeGreaterThan(10_000);
    expect(all[0]?.sizeBytes).toBeLessThan(10_200);
    const copy = all[0]?.copy();
    expect(copy?.value?.equals(all[0]?.value as Buffer)).toBe(true);
    expect(copy?.value?.buffer).not.toBe(all[0]?.value?.buffer);
    const shared = all.map((record) => record.shared);
    expect(new Set(shared).size).toBe(1);
    expect(shared[0]).toEqual({ bytes: all[3]?.value?.buffer.byteLength, inFlight: 0 });
  });

  it('that was packed is unpacked into memory of its own, which is no larger than twice what is in it', () => {
    const batches = [5, 50_000].map((length, i) =>
      writeBatch({ baseOffset: i, compression: 'gzip', records: [plainRecord(0, 'x'.repeat(length))] }),
    );
    const all: DirectRecord[] = [];
    for (const batch of read(batches).batches) batch.read(1, all);
    expect(all[0]?.shared).not.toBe(all[1]?.shared);
    for (const { shared, value, sizeBytes } of all) {
      expect(shared?.bytes).toBe(value?.buffer.byteLength);
      expect(shared?.bytes).toBeLessThan(2 * sizeBytes);
    }
  });

  it('is let go of by a record that is detached, and says the same as before', () => {
    const written = [
      { ...plainRecord(0, 'a value'), key: Buffer.from('ä key') },
      { ...plainRecord(1, ''), headers: [['one', Buffer.from('1')] as const, ['none', null] as const] },
      { ...plainRecord(2, ''), value: null },
    ];
    const all: DirectRecord[] = [];
    read([writeBatch({ records: written })]).batches[0]?.read(3, all);
    const toldBy = (record: DirectRecord) => [record.toJSON(), record.keyAsLatin1(), record.sizeBytes];
    const before = all.map(toldBy);
    const keptBefore = all.map(({ value }) => value?.buffer);
    for (const record of all) record.detach();
    expect(all.map(toldBy)).toEqual(before);
    for (const [i, { shared, value, sizeBytes }] of all.entries()) {
      expect(shared).toBe(undefined);
      if (value === null) continue;
      expect(value.buffer).not.toBe(keptBefore[i]);
      expect(value.buffer.byteLength).toBe(sizeBytes - 100);
    }
  });
});

describe('codecs', () => {
  const block = compressionsAlgorithms.snappy;
  const unpack = (bytes: Buffer): Buffer => unsnappy(bytes, (one) => block.decompressSync(one));

  it('read snappy in the frames of snappy-java, and without', () => {
    const parts = ['one ', 'two'].map((text) => block.compressSync(Buffer.from(text)));
    const framed = parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(part.length);
      return [length, part];
    });
    const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    expect(String(unpack(Buffer.concat([header, ...framed])))).toBe('one two');
    expect(String(unpack(parts[0] as Buffer))).toBe('one ');
    expect(() => unpack(Buffer.concat([header, ...framed]).subarray(0, -1))).toThrow(/a block of snappy of \d+ bytes/);
  });

  it('read zstd, on every Node', () => {
    // Written by the zstd command.
    const packed = Buffer.from('28b52ffd04688d00005061207265636f72642c2001004b5a152429d74a27', 'hex');
    expect(String(codecs.decompress[4]?.(packed))).toBe('a record, '.repeat(60));
    expect(() => codecs.decompress[4]?.(Buffer.from('no zstd at all'))).toThrow();
  });

  it('read gzip', () => {
    expect(String(codecs.decompress[1]?.(gzipSync('hello')))).toBe('hello');
  });
});
