import type { PartitionProgress, TopicPartition } from '@kafka-worker/core';

/**
 * A partition that this worker has taken in the database, and what the database has of it. Exact as long as the claim is good: nobody else may write
 * then, which each transaction makes sure of.
 */
export class Claim implements TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** The value of the partition's epoch row since it was taken. */
  readonly epoch: string;
  /** Where the partition went on when it was taken; undefined where there was no row. */
  readonly firstOffset: number | undefined;
  /** What the offset row says. */
  nextOffset: number | undefined;
  /** Finished offsets at or above it: one row each. */
  readonly finished: Set<number>;
  /** Offsets that are being stored, and when that is over. */
  readonly #storing = new Map<number, Promise<void>>();

  constructor(
    { topic, partition }: TopicPartition,
    epoch: string,
    next: number | undefined,
    finished: Iterable<number>,
  ) {
    this.topic = topic;
    this.partition = partition;
    this.epoch = epoch;
    this.firstOffset = next;
    this.nextOffset = next;
    this.finished = new Set(finished);
  }

  /** Whether the database has it as done. */
  isFinished(offset: number): boolean {
    return (this.nextOffset !== undefined && offset < this.nextOffset) || this.finished.has(offset);
  }

  /** What to wait for before these can be stored: another attempt is at it. */
  storing(offsets: readonly number[]): Promise<void> | undefined {
    for (const offset of offsets) {
      const other = this.#storing.get(offset);
      if (other !== undefined) return other;
    }
    return undefined;
  }

  /** These are being stored from now on, until what is returned is called. */
  beginStoring(offsets: readonly number[]): () => void {
    let end = (): void => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    for (const offset of offsets) this.#storing.set(offset, over);
    return () => {
      for (const offset of offsets) this.#storing.delete(offset);
      end();
    };
  }

  /** The database has stored it. */
  noteStored({ nextOffset, finished }: Stored): void {
    const before = this.nextOffset ?? 0;
    for (const offset of finished) if (offset >= (nextOffset ?? before)) this.finished.add(offset);
    if (nextOffset === undefined || (this.nextOffset !== undefined && nextOffset <= this.nextOffset)) return;
    this.nextOffset = nextOffset;
    if (this.finished.size === 0) return;
    // Whichever is shorter: the way of the frontier, or what lies above it.
    if (nextOffset - before <= this.finished.size)
      for (let offset = before; offset < nextOffset; offset++) this.finished.delete(offset);
    else for (const offset of this.finished) if (offset < nextOffset) this.finished.delete(offset);
  }
}

/** Of a partition's progress, what the database does not have; undefined when it has all of it. */
export function missingOf(claim: Claim, { offset, metadata, finished = [] }: PartitionProgress): Stored | undefined {
  const nextOffset = claim.nextOffset === undefined || offset > claim.nextOffset ? offset : undefined;
  const missing = finished.filter((one) => one >= offset && !claim.isFinished(one));
  return nextOffset === undefined && missing.length === 0 ? undefined : { nextOffset, metadata, finished: missing };
}

/** What one transaction stores of a partition. */
export interface Stored {
  /** Everything before it is finished; undefined when that does not change. */
  readonly nextOffset: number | undefined;
  readonly metadata: string | undefined;
  /** Finished offsets at or above it. */
  readonly finished: readonly number[];
}
