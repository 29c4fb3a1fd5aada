import { describe, expect, it } from '@jest/globals';
import type { LaneRule } from './concurrency.ts';
import type { Handler } from './handler.ts';
import { type FakeKafka, fakeKafka } from './testing/fake-kafka.ts';
import { Worker } from './worker.ts';
import type { CommonWorkerOptions } from './worker-options.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const at = (partition: number) => ({ topic: 't', partition });
/** What a record without key and headers counts beside its value. */
const OVERHEAD_BYTES = 100;
const parallel = {
  kind: 'concurrency',
  name: 'parallel',
  lanes: { by: 'all', active: 1, inside: { width: Number.POSITIVE_INFINITY } } satisfies LaneRule,
} as const;

type Rest = Partial<CommonWorkerOptions<Buffer | null, Buffer | null, object>>;

function clusterWith(recordsPerPartition: readonly number[], valueBytes = 1): FakeKafka {
  const kafka = fakeKafka({ topics: { t: { partitions: recordsPerPartition.length } } });
  for (const [partition, records] of recordsPerPartition.entries()) fill(kafka, partition, records, valueBytes);
  return kafka;
}

function fill(kafka: FakeKafka, partition: number, records: number, valueBytes = 1): void {
  kafka.send(Array.from({ length: records }, () => ({ ...at(partition), value: 'x'.repeat(valueBytes) })));
}

/** Handlers that wait to be told which offset may return, or to be interrupted. */
class Held {
  readonly started: string[] = [];
  readonly #waiting = new Map<string, () => void>();

  readonly handler: Handler<Buffer | null, Buffer | null, object> = ({ partition, offset }, { signal }) =>
    new Promise<void>((resolve, reject) => {
      this.started.push(`${partition}@${offset}`);
      signal.addEventListener('abort', () => reject(signal.reason as Error));
      this.#waiting.set(`${partition}@${offset}`, resolve);
    });

  /** Lets so many return, the ones that started first. */
  finish(count: number, isChosen: (name: string) => boolean = () => true): void {
    for (const name of [...this.#waiting.keys()].filter(isChosen).slice(0, count)) {
      this.#waiting.get(name)?.();
      this.#waiting.delete(name);
    }
  }
}

async function run(
  kafka: FakeKafka,
  handler: Handler<Buffer | null, Buffer | null, object>,
  rest: Rest,
  test: (worker: Worker, polled: number[]) => Promise<void>,
): Promise<void> {
  const options = { kafka, groupId: 'g', topics: 't', clock: kafka.clock, logger: quiet, concurrency: parallel };
  const worker = new Worker({ ...options, handler, ...rest });
  const polled: number[] = [];
  worker.on('polled', ({ records }) => polled.push(records));
  worker.finished.catch(() => {});
  await worker.start();
  await test(worker, polled);
  const stopping = worker.stop({ timeoutMs: 10 });
  await kafka.clock.advance(60_000);
  await stopping;
}

describe('records in flight', () => {
  it('are never more than the limit, and intake goes on when they have come down to 70 %', async () => {
    const kafka = clusterWith([500, 500]);
    const held = new Held();
    await run(kafka, held.handler, { limits: { inFlightRecords: 100 } }, async (worker) => {
      await kafka.clock.advance(5_000);
      const full = worker.status().inFlightRecords;
      // Less than a worthwhile poll (30 %) may be left free.
      expect(full).toBeGreaterThan(70);
      expect(full).toBeLessThanOrEqual(100);
      held.finish(full - 71);
      await kafka.clock.advance(5_000);
      expect(worker.status().inFlightRecords).toBe(71);
      held.finish(1);
      await kafka.clock.advance(10);
      const again = worker.status().inFlightRecords;
      expect(again).toBeGreaterThan(71);
      expect(again).toBeLessThanOrEqual(100);
    });
  });

  it.each([1, 2, 3, 7])('may be as few as %d, and everything is still handled', async (inFlightRecords) => {
    const kafka = clusterWith([20, 20]);
    let most = 0;
    let running = 0;
    const handler = async (): Promise<void> => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => void kafka.clock.setTimeout(resolve, 5));
      running--;
    };
    await run(kafka, handler, { limits: { inFlightRecords } }, async () => {
      await kafka.clock.advance(5_000);
      expect([...kafka.committed('g', 't').values()]).toEqual([20, 20]);
      expect(most).toBeLessThanOrEqual(inFlightRecords);
    });
  });

  it('do not stop the events of the group: a full worker still gives partitions back', async () => {
    const kafka = clusterWith([500, 500]);
    const held = new Held();
    await run(kafka, held.handler, { limits: { inFlightRecords: 10 }, revokeDrainMs: 1_000 }, async (worker) => {
      await kafka.clock.advance(1_000);
      kafka.group('g').revoke([at(0)]);
      await kafka.clock.advance(5_000);
      expect(kafka.group('g').assignment()).toEqual([at(1)]);
      // What was in flight of it is counted no more, and the other one takes its room.
      expect(worker.status().partitions.map(({ partition }) => partition)).toEqual([1]);
      expect(worker.status().inFlightRecords).toBeGreaterThan(7);
      expect(worker.status().inFlightRecords).toBeLessThanOrEqual(10);
    });
  });
});

describe('the client’s pauses', () => {
  /** The cluster, whose consumers note what they are told to pause. */
  function noting(kafka: FakeKafka, paused: string[]): FakeKafka {
    const consumer: FakeKafka['consumer'] = (options) => {
      const made = kafka.consumer(options);
      const pause = made.pause.bind(made);
      made.pause = (partitions) => {
        paused.push(...partitions.map(({ topic, partition }) => `${topic}/${partition}`));
        return pause(partitions);
      };
      return made;
    };
    return new Proxy(kafka, {
      get: (target, name) => {
        const value: unknown = name === 'consumer' ? consumer : Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  it('are the last resort: none while the limit fills and empties and everything moves, one for a partition that is stuck', async () => {
    // Nearly all that is in flight is of one partition, far more than its share.
    const kafka = clusterWith([6_000, 20]);
    const paused: string[] = [];
    const held = new Held();
    const rest = { limits: { inFlightRecords: 100 } };
    await run(noting(kafka, paused), held.handler, rest, async (worker, polled) => {
      for (let i = 0; i < 20; i++) {
        // Full whenever it is looked for partitions that are stuck, a second apart, and never for two looks without a move.
        await kafka.clock.advance(700);
        expect(worker.status().inFlightRecords).toBeGreaterThan(70);
        held.finish(1_000);
      }
      expect(polled.length).toBeGreaterThanOrEqual(20);
      expect(paused).toEqual([]);
      fill(kafka, 1, 100);
      for (let i = 0; i < 10; i++) {
        await kafka.clock.advance(700);
        held.finish(1_000, (name) => name.startsWith('1@'));
      }
      expect(paused).toEqual(['t/0']);
      expect(worker.status().partitions[1]).toMatchObject({ nextOffset: 120 });
    });
  });
});

describe('bytes in flight', () => {
  it('are at most the limit for records of one size, once one has been seen', async () => {
    const kafka = clusterWith([500], 900);
    const held = new Held();
    await run(kafka, held.handler, { limits: { inFlightBytes: 50_000 } }, async (worker, polled) => {
      await kafka.clock.advance(5_000);
      // The first poll asks for one record, as it knows no size.
      expect(polled[0]).toBe(1);
      expect(worker.status().inFlightRecords).toBe(50);
      expect(worker.status().inFlightBytes).toBe(50_000);
    });
  });

  it('are passed by at most one poll when records become larger', async () => {
    const kafka = clusterWith([10], 100);
    fill(kafka, 0, 400, 9_900);
    const held = new Held();
    const sizeOf = (worker: Worker): number => worker.status().inFlightBytes;
    await run(kafka, held.handler, { limits: { inFlightBytes: 100_000 } }, async (worker, polled) => {
      await kafka.clock.advance(5_000);
      expect(sizeOf(worker)).toBeGreaterThan(100_000);
      expect(sizeOf(worker)).toBeLessThanOrEqual(100_000 + Math.max(...polled) * 10_000);
      // From then on it knows better.
      const before = polled.length;
      held.finish(1_000);
      await kafka.clock.advance(5_000);
      expect(sizeOf(worker)).toBeLessThanOrEqual(100_000);
      expect(Math.max(...polled.slice(before))).toBeLessThanOrEqual(10);
    });
  });

  it('let a record pass that is larger than the limit, alone', async () => {
    const kafka = clusterWith([0]);
    fill(kafka, 0, 1, 50_000 - OVERHEAD_BYTES);
    fill(kafka, 0, 5, 10);
    const held = new Held();
    await run(kafka, held.handler, { limits: { inFlightBytes: 1_000 } }, async (worker) => {
      await kafka.clock.advance(5_000);
      expect([held.started, worker.status().inFlightBytes]).toEqual([['0@0'], 50_000]);
      held.finish(1);
      await kafka.clock.advance(5_000);
      for (let i = 0; i < 5; i++) {
        held.finish(9);
        await kafka.clock.advance(1_000);
      }
      expect(kafka.committed('g', 't').get(0)).toBe(6);
    });
  });

  it('come back to nothing when everything is finished, skipped, lost or sought away', async () => {
    const kafka = clusterWith([20, 20, 20], 500);
    const held = new Held();
    await run(kafka, held.handler, {}, async (worker) => {
      await kafka.clock.advance(100);
      expect(worker.status().inFlightRecords).toBe(60);
      held.finish(5);
      await kafka.clock.advance(100);
      kafka.group('g').lose([at(0)]);
      await kafka.clock.advance(100);
      await worker.seek(at(1), 'latest');
      held.finish(100);
      await kafka.clock.advance(100);
      expect(worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    });
  });
});

describe('records ahead of an unfinished one', () => {
  const isFirst = (name: string): boolean => name === '0@0';

  it('stop the intake of their partition at the limit, not of the others, and let it go on when they have become few', async () => {
    const kafka = clusterWith([2_000, 100]);
    const warnings: unknown[] = [];
    const logger = { ...quiet, warn: (message: string, fields?: object) => warnings.push([message, fields]) };
    const held = new Held();
    const rest = { limits: { aheadOfFrontier: 100, inFlightRecords: 50 }, logger };
    await run(kafka, held.handler, rest, async (worker) => {
      for (let i = 0; i < 50; i++) {
        held.finish(1_000, (name) => !isFirst(name));
        await kafka.clock.advance(100);
      }
      const [stuck, other] = worker.status().partitions;
      expect(other).toMatchObject({ nextOffset: 100, inFlight: 0 });
      expect(stuck).toMatchObject({ nextOffset: 0, inFlight: 1, blockedBy: { offset: 0, attempt: 1 } });
      const ahead = held.started.filter((name) => name.startsWith('0@')).length;
      // At most one poll more than the limit.
      expect(ahead).toBeGreaterThanOrEqual(100);
      expect(ahead).toBeLessThanOrEqual(150);
      expect(worker.health().reasons.join()).toContain(
        `t/0 takes no more records: ${ahead} lie above unfinished offset 0`,
      );
      expect(warnings).toEqual([[expect.any(String), expect.objectContaining({ ...at(0), blockedByOffset: 0 })]]);
      // The other partition goes on all the time.
      fill(kafka, 1, 1);
      await kafka.clock.advance(100);
      expect(held.started).toContain('1@100');
      held.finish(1_000);
      await kafka.clock.advance(100);
      expect(held.started.filter((name) => name.startsWith('0@')).length).toBeGreaterThan(ahead);
      expect(worker.health().reasons).toEqual([]);
      for (let i = 0; i < 100; i++) {
        held.finish(1_000);
        await kafka.clock.advance(100);
      }
      expect(kafka.committed('g', 't').get(0)).toBe(2_000);
    });
  });

  it('are forgotten when the partition is sought elsewhere, and its intake goes on', async () => {
    const kafka = clusterWith([1_000]);
    const held = new Held();
    await run(kafka, held.handler, { limits: { aheadOfFrontier: 10, inFlightRecords: 50 } }, async (worker) => {
      await kafka.clock.advance(1_000);
      expect(worker.health().reasons.join()).toContain('takes no more records');
      const before = held.started.length;
      await worker.seek(at(0), 900);
      await kafka.clock.advance(1_000);
      expect(held.started[before]).toBe('0@900');
    });
  });

  it('do not keep a partition paused that comes back', async () => {
    const kafka = clusterWith([1_000]);
    const held = new Held();
    const rest = { limits: { aheadOfFrontier: 10, inFlightRecords: 50 }, revokeDrainMs: 100 };
    await run(kafka, held.handler, rest, async () => {
      await kafka.clock.advance(1_000);
      kafka.group('g').revoke();
      await kafka.clock.advance(5_000);
      const before = held.started.length;
      kafka.group('g').rebalance();
      await kafka.clock.advance(1_000);
      expect(held.started[before]).toBe('0@0');
    });
  });
});

describe('a partition that is stuck', () => {
  const perPartition = {
    kind: 'concurrency',
    name: 'perPartition',
    lanes: { by: 'partition', active: Number.POSITIVE_INFINITY, inside: { width: 1 } } satisfies LaneRule,
  } as const;

  it('does not take the whole buffer: the others go on, and what is in flight stays within twice the limit', async () => {
    const kafka = clusterWith([1_000, 0, 300, 1_000]);
    const seen = new Map<number, number>();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const handler = ({ partition }: { partition: number }): Promise<void> | undefined => {
      seen.set(partition, (seen.get(partition) ?? 0) + 1);
      return partition === 0 || partition === 3 ? held : undefined;
    };
    const rest = { limits: { inFlightRecords: 100 }, concurrency: perPartition };
    await run(kafka, handler, rest, async (worker) => {
      let most = 0;
      for (let i = 0; i < 60; i++) {
        fill(kafka, 1, 5);
        await kafka.clock.advance(1_000);
        most = Math.max(most, worker.status().inFlightRecords);
      }
      expect(seen.get(2)).toBe(300);
      expect(seen.get(1)).toBeGreaterThan(250);
      expect(most).toBeLessThanOrEqual(200);
      expect(worker.health().reasons.join()).toMatch(
        /t\/0 takes no more records: it is stuck at offset 0 with \d+ in flight/,
      );
      release();
      await kafka.clock.advance(5_000);
      expect([seen.get(0), seen.get(3)]).toEqual([1_000, 1_000]);
      expect(worker.health().reasons).toEqual([]);
    });
  });

  it('takes no room from the others while it is revoked: nobody waits for what is queued of it', async () => {
    const kafka = clusterWith([300, 0]);
    const held = new Held();
    const rest = { limits: { inFlightRecords: 100 }, concurrency: perPartition };
    await run(kafka, held.handler, rest, async (worker) => {
      await kafka.clock.advance(200);
      kafka.group('g').revoke([at(0)]);
      fill(kafka, 1, 2);
      await kafka.clock.advance(5_000);
      expect(kafka.group('g').assignment()).toContainEqual(at(0));
      expect(held.started).toEqual(['0@0', '1@0']);
      held.finish(2);
      await kafka.clock.advance(100);
      expect(held.started).toEqual(['0@0', '1@0', '1@1']);
      held.finish(1);
      await kafka.clock.advance(100);
      expect(worker.status()).toMatchObject({ inFlightRecords: 0, inFlightBytes: 0 });
    });
  });
});
