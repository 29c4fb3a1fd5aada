import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type AskedPartition, type ScriptedAnswer, ScriptedBroker } from '../testing/scripted-broker.ts';
import { plainRecord, writeBatch } from '../testing/written-batch.ts';
import { pauseFor } from './bounded.ts';
import { type DirectLibrary, loadDirectLibrary } from './direct/direct-library.ts';
import { DirectReader } from './direct-reader.ts';

const PARTITIONS = 4;
const WAIT_MS = 8_000;

const records = Array.from({ length: 100 }, (_, i) => plainRecord(i, 'v'));

/** Of every partition a batch with more than is taken. */
const healthy = (asked: readonly AskedPartition[]): ScriptedAnswer => ({
  partitions: asked.map(({ partition }) => ({
    ...{ partition, end: records.length },
    records: writeBatch({ baseOffset: 0, leaderEpoch: 5, records }),
  })),
});

describe('DirectReader', () => {
  let library: DirectLibrary;
  let broker: ScriptedBroker | undefined;
  let reader: DirectReader | undefined;
  beforeAll(async () => {
    library = await loadDirectLibrary();
  });
  afterEach(async () => {
    reader?.stop();
    await broker?.stop();
  });

  // Whose turn it was went on by one when something was asked for, too: with one look for each taking, half of the partitions were never taken from.
  it('serves all partitions alike, however little is taken at once', async () => {
    broker = await new ScriptedBroker(1).start();
    broker.answer = healthy;
    broker.leaders = Array.from({ length: PARTITIONS }, () => ({ id: 1, epoch: 5 }));
    reader = readerOn(broker, library);
    reader.own(Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: 't', partition, offset: 0 })));
    const owned = [...reader.owned];
    const taken = owned.map(() => 0);
    await untilAllWait(reader);
    for (let i = 0; i < 40; i++)
      for (const { partition } of reader.take(1).records) taken[partition] = (taken[partition] ?? 0) + 1;
    expect(taken).toEqual([10, 10, 10, 10]);
  });

  // A batch of a kilobyte may hold a megabyte: all that waits, unpacked in one go, held the event loop for long and took memory without bound.
  it('unpacks little for what is taken at once, whatever waits, and brings all in its order', async () => {
    const [count, size] = [6, 600_000];
    broker = await new ScriptedBroker(1).start();
    broker.answer = (asked) => ({
      partitions: asked.map(({ partition, offset }) => {
        const batches = Array.from({ length: Math.max(0, count - offset) }, (_, i) =>
          writeBatch({ baseOffset: offset + i, compression: 'gzip', records: [plainRecord(0, 'x'.repeat(size))] }),
        );
        return { partition, end: count, records: Buffer.concat(batches) };
      }),
    });
    broker.leaders = Array.from({ length: PARTITIONS }, () => ({ id: 1, epoch: 5 }));
    let unpacked = 0;
    const { 1: gunzip, ...others } = library.codecs.decompress;
    const counting = (bytes: Buffer): Buffer => {
      const whole = gunzip?.(bytes) ?? bytes;
      unpacked += whole.length;
      return whole;
    };
    const codecs = { ...library.codecs, decompress: { ...others, 1: counting } };
    reader = readerOn(broker, { ...library, codecs });
    reader.own(Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: 't', partition, offset: 0 })));
    await untilAllWait(reader);
    const offsets = Array.from({ length: PARTITIONS }, (): number[] => []);
    while (reader.hasRecords) {
      const { records: taken } = reader.take(500);
      expect(taken.length).toBeGreaterThan(0);
      expect(unpacked).toBeLessThan(1024 * 1024 + 2 * size);
      unpacked = 0;
      for (const { partition, offset } of taken) offsets[partition]?.push(offset);
    }
    expect(offsets).toEqual(offsets.map(() => [0, 1, 2, 3, 4, 5]));
  });

  it('serves all partitions alike, also those that have to be unpacked, whatever the others have', async () => {
    const [count, size] = [10, 120_000];
    const few = Array.from({ length: count }, (_, i) => plainRecord(i, 'x'.repeat(size)));
    const many = writeBatch({ records: Array.from({ length: 10_000 }, (_, i) => plainRecord(i, 'v')) });
    const packed = Array.from({ length: 20 }, (_, i) =>
      writeBatch({ baseOffset: i * count, compression: 'gzip', records: few }),
    );
    broker = await new ScriptedBroker(1).start();
    broker.answer = (asked) => ({
      partitions: asked.map(({ partition, offset }) => {
        const records = partition === 0 ? many : Buffer.concat(packed);
        return { partition, end: 10_000, ...(offset === 0 ? { records } : {}) };
      }),
    });
    broker.leaders = Array.from({ length: 3 }, () => ({ id: 1, epoch: 5 }));
    reader = readerOn(broker, library);
    reader.own(Array.from({ length: 3 }, (_, partition) => ({ topic: 't', partition, offset: 0 })));
    await untilAllWait(reader);
    const taken = [0, 0, 0];
    for (let i = 0; i < 10; i++)
      for (const { partition } of reader.take(500).records) taken[partition] = (taken[partition] ?? 0) + 1;
    expect(taken).toEqual([4_900, 50, 50]);
  });
});

function readerOn(broker: ScriptedBroker, library: DirectLibrary): DirectReader {
  const options = {
    ...{ brokers: [`127.0.0.1:${broker.port}`], clientId: 'test', rack: '', isReadCommitted: true },
    ...{ maxWaitMs: 20, minBytes: 1, responseBytes: 1 << 20, partitionBytes: 1 },
    connection: { connectTimeout: 1_000, requestTimeout: 1_000 },
  };
  return new DirectReader(library, options, {
    rangeOf: () => Promise.reject(new Error('nobody asks')),
    ...{ changed() {}, report() {}, leave() {} },
  });
}

async function untilAllWait({ owned }: DirectReader): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline; await pauseFor(5))
    if (Array.from(owned).every(({ hasRecords, isAsked }) => hasRecords && !isAsked)) return;
  throw new Error('waited in vain for records');
}
