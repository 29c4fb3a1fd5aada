import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { StartOffset } from '../kafka-client.ts';
import type { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { NativeConsumer } from './native-client.ts';
import { OwnedPartition } from './owned-partitions.ts';
import { PositionCheck } from './position-check.ts';
import type { RawClient } from './raw-client.ts';

const END = 100;
const MINUTE = 60_000;

interface Asked {
  readonly partition: number;
  readonly offset: number;
}

/** Logs from 0 to 100, in which nothing is wrong; but for those that have no leader. */
function raw(leaderless: readonly number[] = []): RawClient<NativeConsumer> {
  const answer = (one: Asked): object =>
    leaderless.includes(one.partition)
      ? new Error('Broker: Leader not available')
      : { ...one, offset: one.offset === -2 ? 0 : END };
  const native = {
    offsetsForTimes: (partitions: Asked[], _ms: number, done: (error: null, value: object[]) => void) =>
      done(null, partitions.map(answer)),
  };
  const call = (_what: string, _ms: number, run: (client: object, done: unknown) => void): Promise<unknown> =>
    new Promise((resolve) => run(native, (_error: null, value: object[]) => resolve(value)));
  return { isUsable: true, call } as unknown as RawClient<NativeConsumer>;
}

/** A reader of one partition, whose queue never runs dry unless the test says so. */
class BusyReader {
  owned: readonly OwnedPartition[] = [new OwnedPartition('t', 0, 5)];
  readonly restarted: StartOffset[] = [];
  readonly listenedMs: (number | undefined)[] = [];
  isDry = false;
  isBuffered = false;
  hasTakenAllOf(): boolean {
    return !this.isBuffered;
  }
  isDrySince(): boolean {
    return this.isDry;
  }
  lookForEnd(): Promise<void> {
    return Promise.resolve();
  }
  restart(owned: OwnedPartition, run: (start: StartOffset) => void): Promise<void> {
    run({ topic: owned.topic, partition: owned.partition, offset: owned.next });
    return Promise.resolve();
  }
  listenClosely(_owned: OwnedPartition, ms?: number): void {
    this.listenedMs.push(ms);
  }
}

describe('PositionCheck', () => {
  let check: PositionCheck | undefined;
  afterEach(() => {
    check?.stop();
    jest.useRealTimers();
  });

  function started(leaderless: readonly number[] = []): BusyReader {
    jest.useFakeTimers();
    const reader = new BusyReader();
    check = new PositionCheck(
      raw(leaderless),
      reader as unknown as LibrdkafkaReader,
      () => {},
      (start) => void reader.restarted.push(start),
    );
    return reader;
  }

  it('reads a partition anew that has more and is silent, once the queue has been empty', async () => {
    const reader = started();
    reader.isDry = true;
    await jest.advanceTimersByTimeAsync(MINUTE / 2);
    expect(reader.restarted).toEqual([{ topic: 't', partition: 0, offset: 5 }]);
  });

  it('does so also while another partition of its topic has no leader', async () => {
    const reader = started([1]);
    reader.owned = [...reader.owned, new OwnedPartition('t', 1, 5)];
    reader.isDry = true;
    await jest.advanceTimersByTimeAsync(MINUTE / 2);
    expect(reader.restarted).toEqual([{ topic: 't', partition: 0, offset: 5 }]);
  });

  // The worker that has more to do than it can was never told that it may not read one of its topics any more.
  it('does so within a bound where the queue is never empty, and each time more patiently', async () => {
    const reader = started();
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(reader.restarted).toEqual([]);
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(reader.restarted).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(reader.restarted).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(2 * MINUTE);
    expect(reader.restarted).toHaveLength(2);
    expect(reader.listenedMs).toEqual([MINUTE, 2 * MINUTE]);
  });

  it('leaves alone what moves, and what came and waits to be taken', async () => {
    const reader = started();
    const [owned] = reader.owned as [OwnedPartition];
    for (let minute = 0; minute < 10; minute++) {
      owned.next++;
      await jest.advanceTimersByTimeAsync(MINUTE);
    }
    reader.isBuffered = true;
    await jest.advanceTimersByTimeAsync(10 * MINUTE);
    expect(reader.restarted).toEqual([]);
  });
});
