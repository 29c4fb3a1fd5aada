import type { Assignment } from './assignment.ts';
import type { Clock } from './clock.ts';
import type { DeliverySession } from './delivery.ts';
import { CommitError } from './errors.ts';
import type { KafkaConsumer, Poll } from './kafka-client.ts';
import { isKafkaWorkerError } from './kafka-worker-error.ts';
import type { Logger } from './logger.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { isExplainedByRebalance } from './rebalance-errors.ts';
import type { ReceivedRecord, TopicPartition } from './record.ts';

/** Before what could not be noted is polled again. */
const PAUSE_MS = 250;

/** What receipts act on. */
export interface ReceiptParts {
  readonly received: NonNullable<DeliverySession['received']>;
  /** Runs a commit by itself: one that is overtaken by another would take progress back. */
  readonly alone: (commit: () => Promise<void>) => Promise<void>;
  /** What is noted is committed by that. */
  readonly commitsReceived: boolean;
  readonly assignment: Assignment;
  readonly consumer: KafkaConsumer;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Nothing is taken in any more. */
  readonly isStopped: () => boolean;
  /** What is taken in now is still handled. */
  readonly isDispatched: () => boolean;
}

/** Lets a delivery note what was polled before any of it is dispatched. What it cannot note is not taken in, and polled again. */
export class Receipts {
  readonly #parts: ReceiptParts;
  /** A poll is being noted, and not taken in yet: what is committed of it has to be handled. */
  isUnderWay = false;
  /** Since when nothing of these can be noted, for a reason that passes. */
  readonly #refusedSince = new Map<OwnedPartition, number>();

  constructor(parts: ReceiptParts) {
    this.#parts = parts;
  }

  /** The poll with those records that are noted. */
  async note(poll: Poll): Promise<Poll> {
    this.isUnderWay = true;
    try {
      return await this.#note(poll);
    } catch (error) {
      this.isUnderWay = false;
      throw error;
    }
  }

  /** Since when what is polled of it goes back; undefined when it does not. */
  refusedSince(owner: OwnedPartition): number | undefined {
    return this.#refusedSince.get(owner);
  }

  /** What was noted is in. */
  taken(): void {
    this.isUnderWay = false;
  }

  async #note(poll: Poll): Promise<Poll> {
    const { received, alone, assignment, isStopped } = this.#parts;
    // What is being taken away is not begun any more: its next owner gets it, for it is not committed.
    const leaving = new Set(
      poll.events.flatMap(({ type, partitions }) => (type === 'assigned' ? [] : assignment.among(partitions))),
    );
    const isOurs = (record: ReceivedRecord): boolean => {
      const owner = assignment.ownerOf(record);
      if (owner?.isStaying !== true || leaving.has(owner)) return false;
      // One that was received before would take the commit back.
      return record.offset >= owner.ledger.position;
    };
    const records = isStopped() ? [] : poll.records.filter(isOurs);
    if (records.length === 0) return withRecords(poll, records);
    const chunks = chunksOf(records, assignment);
    const next = chunks.map(({ owner: { topic, partition, commitMetadata }, next: offset, leaderEpoch }) => ({
      ...{ topic, partition, offset, metadata: commitMetadata },
      ...(leaderEpoch === undefined ? {} : { leaderEpoch }),
    }));
    let refusal: Refusal | undefined;
    let isTooLate = false;
    // What is committed is noted before the next commit can begin.
    await alone(async () => {
      isTooLate = isStopped();
      if (isTooLate) return;
      try {
        await received(records, next);
      } catch (error) {
        refusal = refusalOf(chunks, error);
      }
      this.#noteCommitted(refusal?.others ?? chunks);
    });
    if (isTooLate) return withRecords(poll, []);
    this.#noteRefused(chunks, refusal?.chunks ?? []);
    this.#logLost(refusal?.others ?? chunks);
    return withRecords(poll, refusal === undefined ? records : await this.#withoutRefused(records, refusal));
  }

  /** What was refused for a reason that passes, or with its partition, goes back to Kafka; anything else ends the worker. */
  async #withoutRefused(
    records: readonly ReceivedRecord[],
    { error, chunks }: Refusal,
  ): Promise<readonly ReceivedRecord[]> {
    const { clock, logger, assignment } = this.#parts;
    if (!isKafkaWorkerError(error) || !(error.retriable || isExplainedByRebalance(error))) throw error;
    logger.warn('what was polled could not be committed, so it is not handled and will be polled again', { error });
    const refused = new Set(chunks.map(({ owner }) => owner));
    await Promise.all(chunks.map((chunk) => this.#giveBack(chunk)));
    await new Promise<void>((resolve) => clock.setTimeout(resolve, PAUSE_MS));
    return records.filter((record) => {
      const owner = assignment.ownerOf(record);
      return owner !== undefined && !refused.has(owner);
    });
  }

  /** The acknowledgement may come when the time to handle anything is over. */
  #logLost(chunks: readonly Chunk[]): void {
    const { commitsReceived, isDispatched, logger } = this.#parts;
    if (!commitsReceived || isDispatched()) return;
    for (const { owner, first, next } of chunks) {
      const fields = { topic: owner.topic, partition: owner.partition, firstOffset: first, nextOffset: next };
      logger.error('records that were committed before they were handled are lost', fields);
    }
  }

  #noteRefused(chunks: readonly Chunk[], refused: readonly Chunk[]): void {
    const now = this.#parts.clock.now();
    const since = new Map(refused.map(({ owner }) => [owner, this.#refusedSince.get(owner) ?? now]));
    for (const { owner } of chunks) this.#refusedSince.delete(owner);
    for (const owner of this.#refusedSince.keys()) if (owner.phase === 'ended') this.#refusedSince.delete(owner);
    for (const [owner, first] of since) this.#refusedSince.set(owner, first);
  }

  #noteCommitted(chunks: readonly Chunk[]): void {
    if (this.#parts.commitsReceived) {
      for (const { owner, next: offset } of chunks) {
        const { topic, partition } = owner;
        owner.noteCommitted({ topic, partition, offset });
      }
    }
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

/** A commit that failed, for some chunks or for all. */
interface Refusal {
  readonly error: unknown;
  readonly chunks: readonly Chunk[];
  readonly others: readonly Chunk[];
}

interface Chunk {
  readonly owner: OwnedPartition;
  readonly first: number;
  next: number;
  /** Of its last record. */
  leaderEpoch: number | undefined;
}

/** A poll of which only these records are taken in. The position behind one that is not would say that it is finished. */
function withRecords(poll: Poll, records: readonly ReceivedRecord[]): Poll {
  if (records.length === poll.records.length) return poll;
  const taken = new Set(records);
  const left = poll.records.filter((record) => !taken.has(record));
  const isReached = ({ topic, partition }: TopicPartition): boolean =>
    !left.some((record) => record.topic === topic && record.partition === partition);
  return { ...poll, records, positions: poll.positions.filter(isReached) };
}

function refusalOf(chunks: readonly Chunk[], error: unknown): Refusal {
  const failures = error instanceof CommitError ? error.failures : [];
  const isRefused = ({ owner }: Chunk): boolean =>
    failures.length === 0 ||
    failures.some(({ topic, partition }) => topic === owner.topic && partition === owner.partition);
  return { error, chunks: chunks.filter(isRefused), others: chunks.filter((chunk) => !isRefused(chunk)) };
}

function chunksOf(records: readonly ReceivedRecord[], assignment: Assignment): Chunk[] {
  const chunks = new Map<OwnedPartition, Chunk>();
  for (const record of records) {
    const owner = assignment.ownerOf(record);
    if (owner === undefined) continue;
    const chunk = chunks.get(owner);
    const { offset, leaderEpoch } = record;
    if (chunk === undefined) chunks.set(owner, { owner, first: offset, next: offset + 1, leaderEpoch });
    else Object.assign(chunk, { next: offset + 1, leaderEpoch });
  }
  return [...chunks.values()];
}
