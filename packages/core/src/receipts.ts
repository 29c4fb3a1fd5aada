import type { Assignment } from './assignment.ts';
import type { Clock } from './clock.ts';
import type { DeliverySession } from './delivery.ts';
import { CommitError, isKafkaWorkerError } from './errors.ts';
import type { KafkaConsumer, Poll } from './kafka-client.ts';
import type { Logger } from './logger.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { isExplainedByRebalance } from './rebalance-errors.ts';
import type { ReceivedRecord } from './record.ts';

/** Before what could not be noted is polled again. */
const PAUSE_MS = 250;

/** What receipts act on. */
export interface ReceiptParts {
  readonly received: NonNullable<DeliverySession['received']>;
  /** What is noted is committed by that. */
  readonly commitsReceived: boolean;
  readonly assignment: Assignment;
  readonly consumer: KafkaConsumer;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Nothing is taken in any more. */
  readonly isStopped: () => boolean;
}

/** Lets a delivery note what was polled before any of it is dispatched. What it cannot note is not taken in, and polled again. */
export class Receipts {
  readonly #parts: ReceiptParts;

  constructor(parts: ReceiptParts) {
    this.#parts = parts;
  }

  /** The poll with those records that are noted. */
  async note(poll: Poll): Promise<Poll> {
    const { received, assignment, isStopped } = this.#parts;
    const isOurs = (record: ReceivedRecord): boolean => assignment.ownerOf(record)?.phase === 'active';
    const records = isStopped() ? [] : poll.records.filter(isOurs);
    if (records.length === 0) return { ...poll, records };
    const chunks = chunksOf(records, assignment);
    try {
      await received(
        records,
        chunks.map(({ owner: { topic, partition, commitMetadata }, next }) => ({
          ...{ topic, partition, offset: next, metadata: commitMetadata },
        })),
      );
    } catch (error) {
      return { ...poll, records: await this.#withoutRefused(records, chunks, error) };
    }
    this.#noteCommitted(chunks);
    return { ...poll, records };
  }

  /** What was refused for a reason that passes, or with its partition, goes back to Kafka; anything else ends the worker. */
  async #withoutRefused(
    records: readonly ReceivedRecord[],
    chunks: readonly Chunk[],
    error: unknown,
  ): Promise<readonly ReceivedRecord[]> {
    const { clock, logger, assignment } = this.#parts;
    if (!isKafkaWorkerError(error) || !(error.retriable || isExplainedByRebalance(error))) throw error;
    const failures = error instanceof CommitError ? error.failures : [];
    const isRefused = ({ owner }: Chunk): boolean =>
      failures.length === 0 ||
      failures.some(({ topic, partition }) => topic === owner.topic && partition === owner.partition);
    const refused = new Set(chunks.filter(isRefused).map(({ owner }) => owner));
    this.#noteCommitted(chunks.filter(({ owner }) => !refused.has(owner)));
    logger.warn('what was polled could not be committed, so it is not handled and will be polled again', { error });
    await Promise.all(chunks.filter(isRefused).map((chunk) => this.#giveBack(chunk)));
    await new Promise<void>((resolve) => clock.setTimeout(resolve, PAUSE_MS));
    return records.filter((record) => {
      const owner = assignment.ownerOf(record);
      return owner !== undefined && !refused.has(owner);
    });
  }

  #noteCommitted(chunks: readonly Chunk[]): void {
    if (this.#parts.commitsReceived) for (const { owner, next } of chunks) owner.committedOffset = next;
  }

  async #giveBack({ owner, first }: Chunk): Promise<void> {
    const { topic, partition } = owner;
    try {
      await this.#parts.consumer.seek([{ topic, partition, offset: first }]);
    } catch (error) {
      // One that is being taken away is read by its next owner, from what is committed.
      if (owner.phase !== 'active') return;
      if (this.#parts.assignment.get(owner) === owner) throw error;
    }
  }
}

interface Chunk {
  readonly owner: OwnedPartition;
  readonly first: number;
  next: number;
}

function chunksOf(records: readonly ReceivedRecord[], assignment: Assignment): Chunk[] {
  const chunks = new Map<OwnedPartition, Chunk>();
  for (const record of records) {
    const owner = assignment.ownerOf(record);
    if (owner === undefined) continue;
    const chunk = chunks.get(owner);
    if (chunk === undefined) chunks.set(owner, { owner, first: record.offset, next: record.offset + 1 });
    else chunk.next = record.offset + 1;
  }
  return [...chunks.values()];
}
