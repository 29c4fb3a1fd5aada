import type { Assignment } from './assignment.ts';
import { isKafkaWorkerError, type KafkaWorkerError, OffsetOutOfRangeError, PollError, toError } from './errors.ts';
import type { KafkaConsumer } from './kafka-client.ts';
import { logRanges } from './log-range.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';

/** What the check works with. */
export interface PositionCheckParts {
  readonly options: ResolvedWorkerOptions;
  readonly consumer: KafkaConsumer;
  readonly assignment: Assignment;
  readonly seek: (to: TopicPartition & { readonly offset: number }) => Promise<void>;
  readonly fail: (error: KafkaWorkerError) => void;
}

/** Compares read positions with the logs when the client says that one of them is out of range, for it does not say which. */
export class PositionCheck {
  readonly #parts: PositionCheckParts;

  constructor(parts: PositionCheckParts) {
    this.#parts = parts;
  }

  /** False when it has to be done again, for the broker did not answer. */
  async check(): Promise<boolean> {
    const { options, consumer, assignment, seek, fail } = this.#parts;
    const owned = [...assignment].filter((one) => one.isStaying);
    try {
      const positions = owned.map((one) => ({
        topic: one.topic,
        partition: one.partition,
        offset: one.ledger.position,
      }));
      const ranges = await logRanges(consumer, positions);
      for (const [i, one] of owned.entries()) {
        const range = ranges[i];
        // One that is read meanwhile is well, whatever the answers of a moment ago say.
        if (range === undefined || one.phase !== 'active' || one.ledger.position !== positions[i]?.offset) continue;
        const { topic, partition } = one;
        const offset = one.ledger.position;
        if (offset >= range.earliest && offset <= range.latest) continue;
        const error = new OffsetOutOfRangeError({ topic, partition, offset }, range);
        if (options.onOffsetOutOfRange === 'fail') {
          fail(error);
          return true;
        }
        const to = range[options.onOffsetOutOfRange];
        options.logger.warn('a position is outside the log and moves, as onOffsetOutOfRange says', {
          topic,
          partition,
          from: offset,
          to,
        });
        await seek({ topic, partition, offset: to });
      }
    } catch (thrown) {
      if (isKafkaWorkerError(thrown) && thrown.retriable) return false;
      fail(new PollError(`positions could not be checked: ${toError(thrown).message}`, { cause: thrown }));
    }
    return true;
  }
}
