import {
  CommitError,
  type CommitFailure,
  type CommittedOffset,
  type DeliveryContext,
  type DeliverySession,
  IllegalStateError,
  type KafkaRecord,
  type NextOffset,
  NonRetriableError,
  type PartitionProgress,
  type Progress,
  RetriableError,
  type StartOffset,
  type TopicPartition,
} from '@kafka-worker/core';
import { beginStoring, type CallPart, DoneElsewhere, DoneInPart, storedOf } from './call-part.ts';
import { type Claim, missingOf, type Stored } from './claim.ts';
import { Claims } from './claims.ts';
import type { Database } from './database.ts';
import { Deadline } from './deadline.ts';
import { FencedError } from './fenced-error.ts';
import { lend } from './lend.ts';
import type { OffsetStore } from './offset-store.ts';
import { partitionName } from './partition-name.ts';
import { isConflict, isConnectionLost, isRefused, passes } from './sql-state.ts';
import { UndoneError } from './undone-error.ts';
import { within } from './within.ts';
import { wordsOf } from './words-of.ts';

/** What a session is made of. */
export interface DatabaseSessionParts<Transaction> {
  readonly database: Database<Transaction>;
  readonly store: OffsetStore<Transaction>;
  readonly context: DeliveryContext;
  /** For a transaction of our own, when nothing answers at all. */
  readonly answerTimeoutMs: number;
}

interface Gained<Transaction> {
  readonly transaction: Transaction;
}

/** Handler calls in database transactions, each of which stores the offsets of its records, and only while its partitions are this worker's. */
export class DatabaseSession<Transaction> implements DeliverySession<Gained<Transaction>> {
  readonly #parts: DatabaseSessionParts<Transaction>;
  readonly #claims: Claims<Transaction>;

  constructor(parts: DatabaseSessionParts<Transaction>) {
    this.#parts = parts;
    const { store, context } = parts;
    this.#claims = new Claims({ store, context, answered: (promise) => this.#answered(promise) });
  }

  async startOffsets(partitions: readonly TopicPartition[]): Promise<StartOffset[]> {
    return await this.#claims.take(partitions);
  }

  async committed(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]> {
    try {
      return await this.#answered(this.#parts.store.committed(partitions));
    } catch (error) {
      throw passes(error)
        ? new RetriableError(`offsets could not be read: ${wordsOf(error)}`, { cause: error })
        : error;
    }
  }

  isUndone(error: unknown): boolean {
    return error instanceof UndoneError;
  }

  isFinished(record: KafkaRecord): boolean {
    return this.#claims.of(record)?.finished.has(record.offset) === true;
  }

  async around(
    records: readonly KafkaRecord[],
    run: (gained?: Gained<Transaction>) => Promise<void>,
    progress: () => Progress,
  ): Promise<void> {
    const { database, store, context, answerTimeoutMs } = this.#parts;
    const parts = this.#partsOf(records);
    let stored: readonly (readonly [Claim, Stored])[] | undefined;
    let isHandlers = false;
    let endStoring = (): void => {};
    const late = new Deadline(context.clock);
    try {
      const ended = database
        .transaction(async (transaction) => {
          const token = await store.begin(transaction);
          const lent = lend(transaction);
          try {
            await run({ transaction: lent.transaction });
          } catch (error) {
            isHandlers = true;
            throw await this.#whoseFault(error, transaction);
          } finally {
            lent.takeBack();
          }
          // From here on it is up to the database alone.
          late.begin(answerTimeoutMs);
          endStoring = await beginStoring(parts);
          const toStore = storedOf(parts, progress());
          for (const [claim, one] of toStore) await store.store(transaction, token, claim, one);
          stored = toStore;
        })
        .finally(() => endStoring());
      await Promise.race([ended, late.passed]);
      for (const [claim, one] of stored ?? []) claim.noteStored(one);
    } catch (error) {
      if (error instanceof DoneElsewhere) {
        context.logger.warn('records were handled again that the database has as done: rolled back', {
          records: parts.map(({ claim, offsets }) => ({ topic: claim.topic, partition: claim.partition, offsets })),
        });
        return;
      }
      if (error instanceof FencedError)
        this.#restart(
          parts.filter(({ claim }) => partitionName(claim) === partitionName(error)),
          error,
        );
      // Everything was stored, so it was the commit that failed: whether it is done, only the database knows.
      else if (error === late.error || (stored !== undefined && !isRefused(error)))
        this.#restart(parts, unknownOutcome(error));
      else if (error instanceof DoneInPart) this.#restart(parts, error);
      // The handler has nothing to do with it, and certainly nothing of it is done.
      else if (!isHandlers && passes(error)) throw new UndoneError(error);
      throw error;
    } finally {
      late.clear();
    }
  }

  async commit({ partitions }: Progress): Promise<void> {
    const failures: CommitFailure[] = [];
    const durable: NextOffset[] = [];
    let cause: unknown;
    // What is to be committed was found out under these claims: it is no word of later ones.
    const claimed = partitions.map((next) => [next, this.#claims.of(next)] as const);
    for (const [next, claim] of claimed) {
      try {
        if (claim !== undefined) await this.#storeProgress(claim, next);
        durable.push(next);
      } catch (error) {
        cause = error;
        const { topic, partition, offset } = next;
        failures.push({ topic, partition, offset, kafkaCode: -1, reason: wordsOf(error) });
        if (!passes(error)) throw new CommitError(failures, { retriable: false, cause: error });
      }
    }
    // For lag only: nothing is read back from there.
    if (durable.length > 0) await this.#parts.context.consumer.commit(durable);
    if (failures.length > 0) throw new CommitError(failures, { retriable: true, cause });
  }

  revoking(partitions: readonly TopicPartition[]): Promise<void> {
    this.lost(partitions);
    return Promise.resolve();
  }

  lost(partitions: readonly TopicPartition[]): void {
    this.#claims.drop(partitions);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What was skipped, written elsewhere, or is no record, is stored here; what a handler call stands for is there already. */
  async #storeProgress(claim: Claim, progress: PartitionProgress): Promise<void> {
    const stored = missingOf(claim, progress);
    if (stored === undefined || !this.#claims.holds(claim)) return;
    try {
      await this.#answered(this.#parts.store.storeAlone(claim, stored));
    } catch (error) {
      if (!(error instanceof FencedError)) throw error;
      this.#restart([{ claim, offsets: [] }], error);
      return;
    }
    claim.noteStored(stored);
  }

  /** @throws NonRetriableError for a record that was done before this worker had the partition */
  #partsOf(records: readonly KafkaRecord[]): readonly CallPart[] {
    const parts = new Map<string, { readonly claim: Claim; readonly offsets: number[] }>();
    for (const record of records) {
      const { topic, partition, offset } = record;
      const claim = this.#claims.of(record);
      if (claim === undefined) throw new IllegalStateError(`${topic}/${partition} is not taken in the database`);
      if (claim.firstOffset !== undefined && offset < claim.firstOffset)
        throw new NonRetriableError(
          `${topic}/${partition} offset ${offset} is done, as the database has it, which goes on at ${claim.firstOffset}: it is not handled again. To do so all the same, stop the worker and set next_offset`,
        );
      const part = parts.get(partitionName(record)) ?? { claim, offsets: [] };
      part.offsets.push(offset);
      parts.set(partitionName(record), part);
    }
    // In one order everywhere, so that no two transactions wait for each other.
    return [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part);
  }

  /** Only what is still claimed as it was: a claim of before says nothing about the one of now. */
  #restart(parts: readonly CallPart[], reason: Error): void {
    const current = parts.map(({ claim }) => claim).filter((claim) => this.#claims.holds(claim));
    this.#claims.doubt(current);
    const partitions = current.map(({ topic, partition }) => ({ topic, partition }));
    if (partitions.length > 0) this.#parts.context.restart(partitions, reason);
  }

  /** What a handler has rejected with, or what the database has done to it: it loses connections, and undoes what is in the way of others. */
  async #whoseFault(error: unknown, transaction: Transaction): Promise<unknown> {
    if (isConflict(error)) return new UndoneError(error);
    try {
      await this.#answered(this.#parts.database.query(transaction, 'SELECT 1', []));
    } catch (lost) {
      if (isConnectionLost(lost)) return new UndoneError(lost);
    }
    return error;
  }

  /** As the database answers; rejects when it does not. */
  async #answered<T>(promise: Promise<T>): Promise<T> {
    const { answerTimeoutMs, context } = this.#parts;
    return await within(promise, answerTimeoutMs, context.clock);
  }
}

function unknownOutcome(error: unknown): Error {
  return new Error(`whether a transaction was committed is not known: ${wordsOf(error)}`, { cause: error });
}
