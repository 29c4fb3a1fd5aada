import { toError } from '../kafka-worker-error.ts';
import type { Logger } from '../logger.ts';
import type { DirectPartition } from './direct/direct-partition.ts';
import type { DirectReader } from './direct-reader.ts';
import type { LibrdkafkaReader } from './librdkafka-reader.ts';
import type { MoveNatively } from './record-reader.ts';

/** A move that has failed is tried again after this. */
const RETRY_MS = 1_000;

/** What a move works with. */
export interface MoveParts {
  readonly direct: DirectReader;
  readonly librdkafka: LibrdkafkaReader;
  /** Puts librdkafka's own positions elsewhere. */
  readonly moveNatively: MoveNatively;
  readonly logger: Logger;
}

/**
 * Moves partitions from the direct reader to librdkafka, each at the offset behind the last record that was handed out. The direct reader hands nothing
 * out of it from the beginning on, and librdkafka nothing before the end: its queue rests while its position, which is that of the assignment or
 * somewhere behind, is put there. Whatever happens to the partition meanwhile (it is moved by somebody else, paused, taken away) counts.
 */
export class PartitionMoves {
  readonly #parts: MoveParts;
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopped = false;

  constructor(parts: MoveParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** From now on the direct reader hands nothing out of it. */
  begin(owned: DirectPartition, why: string): void {
    owned.leave();
    void this.#carryOut(owned, why);
  }

  async #carryOut(owned: DirectPartition, why: string): Promise<void> {
    const { librdkafka, logger } = this.#parts;
    const { topic, partition, next: offset } = owned;
    try {
      await librdkafka.atRest(async (isIdle) => {
        if (!isIdle) throw new Error('librdkafka does not come to rest');
        if (!this.#isWanted(owned, offset)) return;
        await this.#parts.moveNatively([{ topic, partition, offset }]);
        if (this.#isWanted(owned, offset)) this.#handOver(owned, why);
      });
    } catch (error) {
      if (!this.#isWanted(owned, offset)) return;
      logger.warn('kafka consumer cannot move a partition to librdkafka yet', {
        ...{ topic, partition, offset, why },
        reason: toError(error).message,
      });
      this.#again(owned, why);
    }
  }

  /** Somebody has moved it elsewhere, or taken it away: then it is, or is read anew, as it was told. */
  #isWanted(owned: DirectPartition, offset: number): boolean {
    const isLeft = owned.stoppedBy === 'left to librdkafka' && owned.next === offset;
    return isLeft && !this.#isStopped && this.#parts.direct.reads(owned);
  }

  #handOver(owned: DirectPartition, why: string): void {
    const { direct, librdkafka, logger } = this.#parts;
    const { topic, partition, next: offset, isPaused } = owned;
    direct.disown([owned]);
    librdkafka.own([{ topic, partition, offset }]);
    if (isPaused) librdkafka.pause([owned]);
    librdkafka.started([{ topic, partition }]);
    logger.warn('kafka consumer reads a partition through librdkafka from now on', { topic, partition, offset, why });
  }

  #again(owned: DirectPartition, why: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#isWanted(owned, owned.next)) void this.#carryOut(owned, why);
    }, RETRY_MS);
    this.#timers.add(timer);
  }
}
