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
    const options = {
      ...{ brokers: [`127.0.0.1:${broker.port}`], clientId: 'test', rack: '', isReadCommitted: true },
      ...{ maxWaitMs: 20, minBytes: 1, responseBytes: 1 << 20, partitionBytes: 1 },
      connection: { connectTimeout: 1_000, requestTimeout: 1_000 },
    };
    reader = new DirectReader(library, options, {
      rangeOf: () => Promise.reject(new Error('nobody asks')),
      ...{ changed() {}, report() {}, leave() {} },
    });
    reader.own(Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: 't', partition, offset: 0 })));
    const owned = [...reader.owned];
    const taken = owned.map(() => 0);
    const deadline = Date.now() + WAIT_MS;
    while (!owned.every(({ hasRecords, isAsked }) => hasRecords && !isAsked)) {
      if (Date.now() > deadline) throw new Error('waited in vain for records');
      await pauseFor(5);
    }
    for (let i = 0; i < 40; i++)
      for (const { partition } of reader.take(1).records) taken[partition] = (taken[partition] ?? 0) + 1;
    expect(taken).toEqual([10, 10, 10, 10]);
  });
});
