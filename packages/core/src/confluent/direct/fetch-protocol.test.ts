import { describe, expect, it } from '@jest/globals';
import {
  apiVersionsV3,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  metadataV12,
  Writer,
} from '@platformatic/kafka';
import fc from 'fast-check';
import { readApiVersionsResponse, writeApiVersionsRequest } from './api-versions.ts';
import { type FetchRequest, writeFetchRequest } from './fetch-request.ts';
import { readFetchResponse } from './fetch-response.ts';
import { MalformedBytes } from './malformed-bytes.ts';
import { readMetadataResponse, writeMetadataRequest } from './metadata.ts';

const ID = '0123456789abcdef0123456789abcdef';
const UUID = '01234567-89ab-cdef-0123-456789abcdef';

const request: FetchRequest = {
  ...{ maxWaitMs: 100, minBytes: 1, maxBytes: 1 << 20, isReadCommitted: true, rack: 'r' },
  topics: [
    {
      topicId: ID,
      partitions: [0, 300].map((partition) => ({
        ...{ partition, leaderEpoch: 7, offset: 2 ** 40 + partition, lastFetchedEpoch: 6, maxBytes: 1 << 17 },
      })),
    },
  ],
};

describe('requests', () => {
  it.each([
    [13, fetchV13],
    [14, fetchV14],
    [15, fetchV15],
    [16, fetchV16],
    [17, fetchV17],
  ] as const)('for records, version %i, are as another implementation writes them', (version, { createRequest }) => {
    const topics = [
      {
        topicId: UUID,
        partitions: [0, 300].map((partition) => ({
          ...{ partition, currentLeaderEpoch: 7, fetchOffset: BigInt(2 ** 40 + partition), lastFetchedEpoch: 6 },
          partitionMaxBytes: 1 << 17,
        })),
      },
    ];
    const other = createRequest(100, 1, 1 << 20, 1, 0, -1, topics, [], 'r');
    expect(writeFetchRequest(version, request).toString('hex')).toBe(other.buffer.toString('hex'));
  });

  it('for versions are so too', () => {
    const other = apiVersionsV3.createRequest('kafka-ts-worker', '1').buffer;
    expect(writeApiVersionsRequest().toString('hex')).toBe(other.toString('hex'));
  });
});

describe('metadata', () => {
  it('is asked for by name, and nothing is created', () => {
    const hex = writeMetadataRequest(['ab']).toString('hex');
    expect(hex).toBe(`02${'0'.repeat(32)}03616200000000`);
  });

  it('is read as another implementation writes and reads it', () => {
    const int32s = (writer: Writer, list: readonly number[]): Writer =>
      writer.appendArray([...list], (w, id) => void w.appendInt32(id), true, false);
    const bytes = Writer.create()
      .appendInt32(0)
      .appendArray(
        [{ id: 1 }],
        (w, { id }) => void w.appendInt32(id).appendString('host').appendInt32(9092).appendString('r'),
      )
      .appendString('cluster')
      .appendInt32(1)
      .appendArray([0, 3], (w, errorCode) => {
        w.appendInt16(errorCode).appendString('topic').appendUUID(UUID).appendBoolean(false);
        w.appendArray([4], (inner, partition) => {
          inner.appendInt16(0).appendInt32(partition).appendInt32(1).appendInt32(9);
          for (const list of [[1, 2], [1], []]) int32s(inner, list);
        });
        w.appendInt32(0);
      })
      .appendTaggedFields().buffer;
    const topic = { name: 'topic', topicId: ID, partitions: [{ partition: 4, leaderId: 1, leaderEpoch: 9 }] };
    expect(readMetadataResponse(bytes)).toEqual({
      brokers: [{ id: 1, host: 'host', port: 9092 }],
      topics: [
        { ...topic, errorCode: 0 },
        { ...topic, errorCode: 3 },
      ],
    });
    expect(metadataV12.api.key).toBe(3);
  });
});

/** A response with everything that there can be, tagged fields included. */
function writeResponse(records: Buffer | null): Buffer {
  const tagged = (writer: Writer, fields: readonly (readonly [number, Buffer])[]): void => {
    writer.appendUnsignedVarInt(fields.length);
    for (const [tag, field] of fields)
      writer.appendUnsignedVarInt(tag).appendUnsignedVarInt(field.length).append(field);
  };
  const writer = Writer.create().appendInt32(12).appendInt16(0).appendInt32(0);
  writer.appendUnsignedVarInt(2).appendUUID(UUID).appendUnsignedVarInt(3);
  for (const partition of [1, 2]) {
    writer.appendInt32(partition).appendInt16(partition === 1 ? 0 : 6);
    writer.appendInt64(100n).appendInt64(90n).appendInt64(10n);
    writer.appendArray([5], (w, id) => void w.appendInt64(BigInt(id)).appendInt64(33n));
    writer.appendInt32(-1);
    if (records === null) writer.appendUnsignedVarInt(0);
    else writer.appendUnsignedVarInt(records.length + 1).append(records);
    const diverging = Writer.create().appendInt32(3).appendInt64(44n).appendUnsignedVarInt(0).buffer;
    const leader = Writer.create().appendInt32(2).appendInt32(8).appendUnsignedVarInt(0).buffer;
    tagged(
      writer,
      partition === 1
        ? [[9, Buffer.from('unknown')]]
        : [
            [0, diverging],
            [1, leader],
          ],
    );
  }
  writer.appendUnsignedVarInt(0);
  const brokers = Writer.create().appendArray(
    [2],
    (w, id) => void w.appendInt32(id).appendString('other').appendInt32(9093).appendString(null),
  ).buffer;
  tagged(writer, [[0, brokers]]);
  return writer.buffer;
}

describe('a response with records', () => {
  const partition = {
    ...{ highWatermark: 100, lastStableOffset: 90, logStartOffset: 10, preferredReadReplica: -1 },
    abortedTransactions: [{ producerId: 5, firstOffset: 33 }],
  };

  it('is read with its tagged fields; an error of one partition leaves the others', () => {
    const records = Buffer.from('some records');
    expect(readFetchResponse(writeResponse(records))).toEqual({
      ...{ throttleMs: 12, errorCode: 0, brokers: [{ id: 2, host: 'other', port: 9093 }] },
      topics: [
        {
          topicId: ID,
          partitions: [
            { ...partition, partition: 1, errorCode: 0, records, divergingEpoch: undefined, currentLeader: undefined },
            {
              ...{ ...partition, partition: 2, errorCode: 6, records },
              ...{ divergingEpoch: { epoch: 3, endOffset: 44 }, currentLeader: { id: 2, epoch: 8 } },
            },
          ],
        },
      ],
    });
  });

  it('has no records where they are null', () => {
    expect(readFetchResponse(writeResponse(null)).topics[0]?.partitions[0]?.records).toBeNull();
  });

  it('is an error where it is cut off, or goes on', () => {
    const bytes = writeResponse(Buffer.from('some records'));
    for (let end = 0; end < bytes.length; end++)
      expect(() => readFetchResponse(bytes.subarray(0, end))).toThrow(MalformedBytes);
    expect(() => readFetchResponse(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(/1 bytes too many/);
  });

  it('is never a hang, nor another error, whatever is flipped in it', () => {
    const bytes = writeResponse(Buffer.from('some records'));
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] as number) ^ mask;
        try {
          readFetchResponse(flipped);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBytes);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('what a broker takes', () => {
  it('is the oldest and the newest version of each request', () => {
    const bytes = Writer.create()
      .appendInt16(0)
      .appendArray(
        [
          [1, 4, 18],
          [3, 0, 13],
        ] as const,
        (w, [key, oldest, newest]) => void w.appendInt16(key).appendInt16(oldest).appendInt16(newest),
      )
      .appendInt32(0)
      .appendTaggedFields().buffer;
    expect(readApiVersionsResponse(bytes)).toEqual(
      new Map([
        [1, { oldest: 4, newest: 18 }],
        [3, { oldest: 0, newest: 13 }],
      ]),
    );
  });

  it('is not known of one that does not take the question', () => {
    expect(readApiVersionsResponse(Buffer.from([0, 35, 0, 0, 0, 0]))).toBeUndefined();
  });
});
