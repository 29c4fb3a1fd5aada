import type { StartOffset } from '../kafka-client.ts';
import { pauseFor } from './bounded.ts';
import { nativeCode } from './client-errors.ts';
import type { NativeConsumer } from './native-client.ts';
import type { RawClient } from './raw-client.ts';

const SEEK_MS = 5_000;

/** A partition that was assigned a moment ago cannot be moved yet: librdkafka is still starting on it. */
const STARTING_MS = 250;

/**
 * Moves librdkafka's positions. `restart` is for a partition that librdkafka has stopped reading.
 * @throws ClientError, ConnectionError
 */
export async function seekNatively(
  raw: RawClient<NativeConsumer>,
  starts: readonly StartOffset[],
  restart: (start: StartOffset) => void,
): Promise<void> {
  const deadline = Date.now() + STARTING_MS;
  for (const start of starts) {
    for (;;) {
      try {
        await raw.call<void>(
          `${start.topic}/${start.partition} cannot be moved to ${start.offset}`,
          SEEK_MS,
          (native, done) => native.seek({ ...start }, SEEK_MS, done),
        );
        break;
      } catch (error) {
        const { code } = ((error as Error).cause ?? {}) as { code?: number };
        if (code !== nativeCode.state) throw error;
        if (Date.now() >= deadline) {
          restart(start);
          break;
        }
        await pauseFor(10);
      }
    }
  }
}
