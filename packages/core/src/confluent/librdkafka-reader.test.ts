import { describe, expect, it } from '@jest/globals';
import type { StartOffset } from '../kafka-client.ts';
import type { RawMessage } from './confluent-record.ts';
import { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { Done, NativeConsumer } from './native-client.ts';
import type { OwnedPartition } from './owned-partitions.ts';

type Answer = Done<RawMessage[] | undefined>;

/** Answers a consume when the test says so. */
class Native {
  turn: Answer | undefined;
  on(): this {
    return this;
  }
  setDefaultConsumeTimeout(): void {}
  consume(_count: number, done: Answer): void {
    this.turn = done;
  }
}

function message(offset: number): RawMessage {
  const bytes = { value: Buffer.from('v'), key: null, size: 1 };
  return { ...bytes, topic: 't', partition: 0, offset, timestamp: 0 };
}

function reading(): { native: Native; reader: LibrdkafkaReader; owned: OwnedPartition; taken: number[] } {
  const native = new Native();
  const taken: number[] = [];
  const reader: LibrdkafkaReader = new LibrdkafkaReader(native as unknown as NativeConsumer, {
    changed: () => void taken.push(...reader.take(100).records.map(({ offset }) => offset)),
    failed: () => {},
  });
  reader.own([{ topic: 't', partition: 0, offset: 3 }]);
  reader.start();
  const [owned] = reader.owned as unknown as [OwnedPartition];
  return { native, reader, owned, taken };
}

async function stop(native: Native, reader: LibrdkafkaReader): Promise<void> {
  const stopped = reader.stop();
  native.turn?.(null, []);
  await stopped;
}

describe('LibrdkafkaReader', () => {
  it('has a partition that stands still read anew from where it stands', async () => {
    const { native, reader, owned } = reading();
    const restarts: StartOffset[] = [];
    const done = reader.restart(owned, (start) => void restarts.push(start));
    native.turn?.(null, []);
    await done;
    expect(restarts).toEqual([{ topic: 't', partition: 0, offset: 3 }]);
    await stop(native, reader);
  });

  // Its position was the one from before that turn: what was taken meanwhile came a second time.
  it('leaves it alone when the turn under way has brought something of it', async () => {
    const { native, reader, owned, taken } = reading();
    const restarts: StartOffset[] = [];
    const done = reader.restart(owned, (start) => void restarts.push(start));
    native.turn?.(null, [message(3), message(4)]);
    await done;
    expect([restarts, taken, owned.next]).toEqual([[], [3, 4], 5]);
    await stop(native, reader);
  });
});
