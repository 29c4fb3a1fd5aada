import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ConfluentRecord } from './confluent-record.ts';
import { RecordBuffer } from './record-buffer.ts';

const record = (partition: number, offset: number): ConfluentRecord =>
  new ConfluentRecord({ topic: 't', partition, offset, timestamp: 0, key: null, value: null, size: 0 });
const BYTES = record(0, 0).sizeBytes;
const position = (partition: number, offset: number) => ({ topic: 't', partition, offset });

describe('RecordBuffer', () => {
  it('hands a whole chunk over as it is', () => {
    const buffer = new RecordBuffer();
    const chunk = [record(0, 0), record(0, 1)];
    buffer.push(chunk, 2 * BYTES);
    expect(buffer.take(10).records).toBe(chunk);
    expect([buffer.records, buffer.bytes]).toEqual([0, 0]);
  });

  it('keeps a position back until the records before it are taken', () => {
    const buffer = new RecordBuffer();
    buffer.push([record(0, 0), record(0, 1)], 2 * BYTES);
    buffer.push([], 0, [position(0, 5)]);
    expect(buffer.take(0)).toEqual({ records: [], positions: [] });
    expect(buffer.take(1).positions).toEqual([]);
    expect(buffer.take(1)).toMatchObject({ records: [{ offset: 1 }], positions: [position(0, 5)] });
  });

  it('takes out what belongs to one partition, and counts right', () => {
    const buffer = new RecordBuffer();
    buffer.push([record(0, 0), record(1, 0), record(0, 1)], 3 * BYTES);
    buffer.push([record(1, 1)], BYTES, [position(0, 2), position(1, 2)]);
    const removed = buffer.remove({ topic: 't', partition: 0 });
    expect(removed).toMatchObject({
      records: [{ offset: 0 }, { offset: 1 }],
      bytes: 2 * BYTES,
      positions: [position(0, 2)],
    });
    expect([buffer.records, buffer.bytes]).toEqual([2, 2 * BYTES]);
    expect(buffer.take(10)).toMatchObject({ records: [{ offset: 0 }, { offset: 1 }], positions: [position(1, 2)] });
  });

  it('gives every record once and in order, however it is filled and emptied', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 9 }) }),
      fc.record({ take: fc.integer({ min: 0, max: 12 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const buffer = new RecordBuffer();
        const taken: number[] = [];
        let next = 0;
        for (const each of steps) {
          if ('push' in each) {
            const chunk = Array.from({ length: each.push }, () => record(0, next++));
            buffer.push(chunk, chunk.length * BYTES, [position(0, next)]);
          } else {
            const { records, positions } = buffer.take(each.take);
            expect(records.length).toBeLessThanOrEqual(each.take);
            taken.push(...records.map(({ offset }) => offset));
            // A position never runs ahead of what was taken.
            for (const { offset } of positions) expect(offset).toBeLessThanOrEqual(taken.length);
          }
          expect(buffer.records).toBe(next - taken.length);
          expect(buffer.bytes).toBe(buffer.records * BYTES);
        }
        expect(taken).toEqual(Array.from({ length: taken.length }, (_, i) => i));
      }),
    );
  });
});
