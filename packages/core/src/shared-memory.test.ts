import { describe, expect, it } from '@jest/globals';
import { chunkedKafka } from './testing/chunked-kafka.ts';
import { always, at, laneStrategy, lanes, Stage, type StageOptions } from './testing/stage.ts';

const OBJECT_BYTES = 100;
const CHUNK_RECORDS = 1_000;
/** What a record of the stage has of its own, at most. */
const RECORD_BYTES = OBJECT_BYTES + 20;
/** What a chunk of its records keeps, at least. */
const CHUNK_BYTES = CHUNK_RECORDS * 10;

const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

function stageOf(partitions: number, recordsOfEach: number, options: StageOptions = {}): Stage {
  const own = Array.from({ length: partitions }, () => keys(recordsOfEach));
  return new Stage(own, { concurrency: laneStrategy(lanes.perKey), ...options });
}

async function start(stage: Stage, ms = 5_000): Promise<void> {
  await stage.start({ kafka: chunkedKafka(stage.kafka, CHUNK_RECORDS) });
  await stage.advance(ms);
}

const inFlight = ({ worker }: Stage): { records: number; bytes: number } => {
  const { inFlightRecords, inFlightBytes } = worker.status();
  return { records: inFlightRecords, bytes: inFlightBytes };
};

describe('memory that records share', () => {
  it('is in flight as a whole while a handler has one of them, and no longer', async () => {
    const stage = stageOf(1, CHUNK_RECORDS);
    stage.hold('0@500');
    await start(stage);
    expect([stage.handled.length, inFlight(stage).records]).toEqual([CHUNK_RECORDS - 1, 1]);
    expect(inFlight(stage).bytes).toBeGreaterThan(CHUNK_BYTES);
    await stage.open('0@500');
    expect(inFlight(stage)).toEqual({ records: 0, bytes: 0 });
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    ['waits for its retry', { do: 'retry', afterMs: 60_000 }],
    ['is frozen with its key', { do: 'freeze', scope: 'key' }],
    ['is frozen with its partition', { do: 'freeze', scope: 'partition' }],
  ] as const)('is let go of by a record that %s, which is handled whole all the same', async (_what, decision) => {
    const stage = stageOf(1, CHUNK_RECORDS, { onFailure: always(decision) });
    stage.fail(`0@${CHUNK_RECORDS - 1}`);
    await start(stage);
    const { records, bytes } = inFlight(stage);
    expect(records).toBe(1);
    expect(bytes).toBeLessThan(RECORD_BYTES);
    stage.heal(`0@${CHUNK_RECORDS - 1}`);
    const values: unknown[] = [];
    stage.worker.on('settled', ({ record }) => values.push(`${String(record.key)} ${String(record.value)}`));
    for (const one of stage.worker.status().partitions[0]?.frozen ?? [])
      await stage.worker.unfreeze({ ...at(0), ...(one.scope === 'key' && { key: one.key }) });
    await stage.advance(60_000);
    expect([values, inFlight(stage)]).toEqual([['999 999'], { records: 0, bytes: 0 }]);
    expect(await stage.end()).toEqual([]);
  });

  it('is let go of by records that are queued in a partition that is paused', async () => {
    const stage = stageOf(1, CHUNK_RECORDS, { concurrency: laneStrategy(lanes.serial) });
    const left = CHUNK_RECORDS / 20;
    const last = `0@${CHUNK_RECORDS - left - 1}`;
    stage.hold(last);
    await start(stage);
    expect(inFlight(stage).bytes).toBeGreaterThan(CHUNK_BYTES);
    stage.worker.pause([at(0)]);
    await stage.open(last);
    const { records, bytes } = inFlight(stage);
    expect(records).toBe(left);
    expect(bytes).toBeLessThan(left * RECORD_BYTES);
    stage.worker.resume([at(0)]);
    await stage.advance(5_000);
    expect([stage.handled.length, inFlight(stage)]).toEqual([CHUNK_RECORDS, { records: 0, bytes: 0 }]);
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    ['lost', (stage: Stage) => stage.kafka.group('g').lose([at(0)])],
    ['revoked', (stage: Stage) => stage.kafka.group('g').revoke([at(0)])],
    ['sought elsewhere', (stage: Stage) => void stage.worker.seek(at(0), 0)],
  ])('is let go of with a partition that is %s', async (_what, go) => {
    const stage = stageOf(2, CHUNK_RECORDS, {
      concurrency: laneStrategy(lanes.perPartition),
      revokeDrainMs: 100,
      onStuckHandler: 'release',
    });
    stage.hold('0@0');
    await start(stage);
    expect(inFlight(stage).bytes).toBeGreaterThan(CHUNK_BYTES);
    go(stage);
    await stage.advance(90_000);
    await stage.open('0@0');
    await stage.advance(1_000);
    expect([inFlight(stage), stage.committed(1)]).toEqual([{ records: 0, bytes: 0 }, CHUNK_RECORDS]);
    expect(await stage.end()).toEqual([]);
  });

  it('is let go of by records that are not started any more, since their partition is being revoked', async () => {
    const options = { concurrency: laneStrategy(lanes.serial), revokeDrainMs: 10_000 };
    const stage = stageOf(1, 2 * CHUNK_RECORDS, options);
    stage.hold(`0@${CHUNK_RECORDS - 1}`);
    await start(stage);
    const before = inFlight(stage);
    stage.kafka.group('g').revoke([at(0)]);
    await stage.advance(100);
    const after = inFlight(stage);
    expect([before.records, after.records]).toEqual([CHUNK_RECORDS + 1, CHUNK_RECORDS + 1]);
    // What lies between the records of the second chunk is gone.
    expect(before.bytes - after.bytes).toBeGreaterThan(CHUNK_RECORDS);
    expect(await stage.end()).toEqual([]);
  });

  it.each([
    [1, 1],
    [1, CHUNK_BYTES / 10],
    [1, CHUNK_BYTES * 2],
    [20, 1],
    [20, CHUNK_BYTES],
    [20, CHUNK_BYTES * 10],
  ])(
    'holds nothing up for good: %d partitions are read to their ends with %d bytes in flight',
    async (partitions, inFlightBytes) => {
      const stage = stageOf(partitions, 300, { limits: { inFlightBytes } });
      for (let i = 0; i < 300; i += 7) stage.durations.set(`${i % partitions}@${i}`, 20);
      await start(stage, 60_000);
      expect(stage.handled.length).toBe(partitions * 300);
      expect(inFlight(stage)).toEqual({ records: 0, bytes: 0 });
      expect(await stage.end()).toEqual([]);
    },
  );

  it('does not stop other partitions when a single handler keeps more of it than the limit', async () => {
    const stage = stageOf(4, CHUNK_RECORDS, { limits: { inFlightBytes: CHUNK_BYTES / 10 } });
    stage.hold('2@0');
    await start(stage, 120_000);
    expect([0, 1, 3].map((partition) => stage.committed(partition))).toEqual([1_000, 1_000, 1_000]);
    await stage.open('2@0');
    await stage.advance(60_000);
    expect([stage.committed(2), inFlight(stage)]).toEqual([CHUNK_RECORDS, { records: 0, bytes: 0 }]);
    expect(await stage.end()).toEqual([]);
  });

  it('holds a partition back no longer that had more of it than its share, when its record waits for a retry', async () => {
    const stage = stageOf(4, CHUNK_RECORDS, {
      limits: { inFlightBytes: CHUNK_BYTES / 10 },
      onFailure: always({ do: 'retry', afterMs: 3_600_000 }),
    });
    stage.hold('2@0');
    stage.fail('2@0');
    await start(stage, 120_000);
    expect(stage.handled.length).toBeLessThan(3_500);
    await stage.open('2@0');
    await stage.advance(60_000);
    expect([stage.handled.length, inFlight(stage).records]).toEqual([4 * CHUNK_RECORDS - 1, 1]);
    expect(await stage.end()).toEqual([]);
  });

  it('does not stop a partition of which a frozen key keeps a record of each chunk, though its chunks are more than the limit', async () => {
    const stage = stageOf(1, 5 * CHUNK_RECORDS, {
      limits: { inFlightBytes: CHUNK_BYTES * 2 },
      onFailure: always({ do: 'freeze', scope: 'key' }),
    });
    for (let chunk = 0; chunk < 5; chunk++) stage.fail(`0@${chunk * CHUNK_RECORDS + 1}`);
    await start(stage, 60_000);
    expect([stage.handled.length, inFlight(stage).records]).toEqual([5 * CHUNK_RECORDS - 5, 5]);
    expect(inFlight(stage).bytes).toBeLessThan(5 * RECORD_BYTES);
    expect(await stage.end()).toEqual([]);
  });
});
