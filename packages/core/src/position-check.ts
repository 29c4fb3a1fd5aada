import type { Assignment } from './assignment.ts';
import { PollError } from './errors.ts';
import type { KafkaConsumer, Watermarks } from './kafka-client.ts';
import { isKafkaWorkerError, type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import { OffsetOutOfRangeError } from './log-errors.ts';
import { logRanges } from './log-range.ts';
import type { TopicPartition } from './record.ts';
import type { ResolvedWorkerOptions } from './resolved-worker-options.ts';

/** What the check works with. */
export interface PositionCheckParts {
  readonly options: ResolvedWorkerOptions;
  readonly consumer: KafkaConsumer;
  readonly assignment: Assignment;
  /** Runs something when what was polled before is taken in, and nothing is polled meanwhile. */
  readonly betweenPolls: (run: () => Promise<void>) => Promise<void>;
  readonly seek: (to: TopicPartition & { readonly offset: number }) => Promise<void>;
  readonly fail: (error: KafkaWorkerError) => void;
  /** Nobody wants to know any more. */
  readonly isClosed: () => boolean;
}

/** Compares read positions with the logs when the client says that one of them is out of range, for it does not say which. */
export class PositionCheck {
  readonly #parts: PositionCheckParts;

  constructor(parts: PositionCheckParts) {
    this.#parts = parts;
  }

  /** False when it has to be done again, for the broker did not answer. */
  async check(): Promise<boolean> {
    const { consumer, assignment, betweenPolls, isClosed, fail } = this.#parts;
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
        const position = positions[i];
        if (range === undefined || position === undefined) continue;
        if (position.offset >= range.earliest && position.offset <= range.latest) continue;
        if (isClosed()) break;
        // One that is read meanwhile is well, whatever the answers of a moment ago say.
        const isUnmoved = (): boolean => one.isStaying && one.ledger.position === position.offset;
        if (isUnmoved()) await betweenPolls(async () => (isUnmoved() ? this.#outside(position, range) : undefined));
      }
    } catch (thrown) {
      if (isClosed()) return true;
      if (isKafkaWorkerError(thrown) && thrown.retriable) return false;
      fail(new PollError(`positions could not be checked: ${toError(thrown).message}`, { cause: thrown }));
    }
    return true;
  }

  async #outside(position: TopicPartition & { readonly offset: number }, range: Watermarks): Promise<void> {
    const { options, seek, fail } = this.#parts;
    const { onOffsetOutOfRange, logger } = options;
    if (onOffsetOutOfRange === 'fail') {
      fail(new OffsetOutOfRangeError(position, range));
      return;
    }
    const { topic, partition, offset: from } = position;
    const to = range[onOffsetOutOfRange];
    const fields = { topic, partition, from, to };
    logger.warn('a position is outside the log and moves, as onOffsetOutOfRange says', fields);
    await seek({ topic, partition, offset: to });
  }
}
