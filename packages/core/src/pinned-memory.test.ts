import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PinnedMemory } from './pinned-memory.ts';
import { noHeaders, OwnedRecord, type ReceivedRecord, type SharedMemory } from './record.ts';
import { chunkOf } from './testing/chunked-kafka.ts';

const OBJECT_BYTES = 100;

const owned = (offset: number, valueBytes: number): OwnedRecord =>
  new OwnedRecord('t', 0, offset, 0, null, Buffer.alloc(valueBytes), noHeaders);

/** A record of a reader whose records share memory, or not. */
function recordOf(valueBytes: number, shared: SharedMemory | undefined): ReceivedRecord {
  const record = Object.assign(owned(0, valueBytes), { shared });
  return Object.assign(record, {
    detach() {
      record.shared = undefined;
    },
  });
}

describe('PinnedMemory', () => {
  it('counts a record whose bytes are its own with these', () => {
    const memory = new PinnedMemory();
    const record = owned(0, 50);
    expect([memory.add(record), memory.bytes, memory.remove(record), memory.bytes]).toEqual([150, 150, 150, 0]);
  });

  it('counts what a chunk of 1,000 records keeps as long as one of them is in flight', () => {
    const chunk = chunkOf(Array.from({ length: 1_000 }, (_, i) => owned(i, 100)));
    const chunkBytes = chunk[0]?.value?.buffer.byteLength ?? 0;
    expect([chunk.length, chunkBytes > 100_000]).toEqual([1_000, true]);
    const memory = new PinnedMemory();
    for (const record of chunk) memory.add(record);
    expect(memory.bytes).toBe(chunkBytes + 1_000 * OBJECT_BYTES);
    const straggler = chunk.splice(500, 1)[0] as ReceivedRecord;
    for (const record of chunk) memory.remove(record);
    expect(memory.bytes).toBe(chunkBytes + OBJECT_BYTES);
    memory.remove(straggler);
    expect(memory.bytes).toBe(0);
  });

  it('counts a record that is detached with its own bytes, and the others as before', () => {
    const [first, second] = chunkOf([owned(0, 5_000), owned(1, 10)]) as ReceivedRecord[] as [
      ReceivedRecord,
      ReceivedRecord,
    ];
    const chunkBytes = first.shared?.bytes ?? 0;
    const memory = new PinnedMemory();
    memory.add(first);
    memory.add(second);
    // It costs its own bytes once more while another one keeps all.
    expect(memory.detach(second)).toBe(OBJECT_BYTES - second.sizeBytes);
    expect(memory.bytes).toBe(chunkBytes + OBJECT_BYTES + second.sizeBytes);
    memory.remove(first);
    expect([memory.bytes, second.sizeBytes < 130]).toEqual([second.sizeBytes, true]);
    memory.remove(second);
    expect(memory.bytes).toBe(0);
  });

  it('is at any time what the records that are in flight keep, and nothing when the last one is finished', () => {
    const chunks = fc.array(fc.nat({ max: 200_000 }), { minLength: 1, maxLength: 4 });
    const step = fc.record({
      do: fc.constantFrom('add' as const, 'add' as const, 'remove' as const, 'detach' as const),
      which: fc.nat(),
      chunk: fc.option(fc.nat()),
      valueBytes: fc.nat({ max: 3_000 }),
    });
    fc.assert(
      fc.property(chunks, fc.array(step, { maxLength: 60 }), (sizes, steps) => {
        const memory = new PinnedMemory();
        const shared = sizes.map((bytes) => ({ bytes, inFlight: 0 }));
        const open: ReceivedRecord[] = [];
        const kept = (): number => {
          const chunksKept = new Set(open.flatMap((record) => record.shared ?? []));
          const own = open.map((record) => (record.shared === undefined ? record.sizeBytes : OBJECT_BYTES));
          return [...own, ...Array.from(chunksKept, ({ bytes }) => bytes)].reduce((sum, bytes) => sum + bytes, 0);
        };
        for (const { do: what, which, chunk, valueBytes } of steps) {
          const before = memory.bytes;
          const record = open[which % Math.max(1, open.length)];
          if (what === 'add') {
            const one = recordOf(valueBytes, chunk === null ? undefined : shared[chunk % shared.length]);
            open.push(one);
            expect(before + memory.add(one)).toBe(memory.bytes);
          } else if (record !== undefined && what === 'remove') {
            open.splice(open.indexOf(record), 1);
            expect(before - memory.remove(record)).toBe(memory.bytes);
          } else if (record !== undefined) {
            expect(before - memory.detach(record)).toBe(memory.bytes);
          }
          expect(memory.bytes).toBe(kept());
        }
        for (const record of open) memory.remove(record);
        expect([memory.bytes, ...shared.map(({ inFlight }) => inFlight)]).toEqual([0, ...shared.map(() => 0)]);
      }),
    );
  });
});
