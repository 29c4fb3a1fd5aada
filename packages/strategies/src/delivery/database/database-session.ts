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
import type { Database } from './database.ts';
import { Deadline } from './deadline.ts';
import { FencedError } from './fenced-error.ts';
import { lend } from './lend.ts';
import type { OffsetStore } from './offset-store.ts';
import { isConflict, isConnectionLost, isLockTimeout, isRefused, passes } from './sql-state.ts';
import { UndoneError } from './undone-error.ts';
import { within } from './within.ts';

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
  readonly #claims = new Map<string, Claim>();
  /** Partitions of which a claim was found to be good no more: before the next one it is asked whether they are ours. */
  readonly #fenced = new Set<string>();

  constructor(parts: DatabaseSessionParts<Transaction>) {
    this.#parts = parts;
  }

  async startOffsets(partitions: readonly TopicPartition[]): Promise<StartOffset[]> {
    await this.#checkMembership(partitions.filter((one) => this.#fenced.has(nameOf(one))));
    const claims = await Promise.allSettled(partitions.map((one) => this.#claim(one)));
    const failed = claims.find((one) => one.status === 'rejected');
    if (failed !== undefined) this.#claimFailed(partitions, claims);
    return claims.flatMap((one) => {
      if (one.status === 'rejected') return [];
      const claim = one.value;
      this.#claims.set(nameOf(claim), claim);
      this.#fenced.delete(nameOf(claim));
      const { topic, partition, nextOffset } = claim;
      return nextOffset === undefined ? [] : [{ topic, partition, offset: nextOffset }];
    });
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
    return this.#claims.get(nameOf(record))?.finished.has(record.offset) === true;
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
          parts.filter(({ claim }) => nameOf(claim) === nameOf(error)),
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
    const claimed = partitions.map((next) => [next, this.#claims.get(nameOf(next))] as const);
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
    for (const one of partitions) {
      this.#claims.delete(nameOf(one));
      this.#fenced.delete(nameOf(one));
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What was skipped, written elsewhere, or is no record, is stored here; what a handler call stands for is there already. */
  async #storeProgress(claim: Claim, progress: PartitionProgress): Promise<void> {
    const stored = missingOf(claim, progress);
    if (stored === undefined || this.#claims.get(nameOf(claim)) !== claim) return;
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
      const claim = this.#claims.get(nameOf(record));
      if (claim === undefined) throw new IllegalStateError(`${topic}/${partition} is not taken in the database`);
      if (claim.firstOffset !== undefined && offset < claim.firstOffset)
        throw new NonRetriableError(
          `${topic}/${partition} offset ${offset} is done, as the database has it, which goes on at ${claim.firstOffset}: it is not handled again. To do so all the same, stop the worker and set next_offset`,
        );
      const part = parts.get(nameOf(record)) ?? { claim, offsets: [] };
      part.offsets.push(offset);
      parts.set(nameOf(record), part);
    }
    // In one order everywhere, so that no two transactions wait for each other.
    return [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part);
  }

  /** Only what is still claimed as it was: a claim of before says nothing about the one of now. */
  #restart(parts: readonly CallPart[], reason: Error): void {
    const current = parts.map(({ claim }) => claim).filter((claim) => this.#claims.get(nameOf(claim)) === claim);
    for (const claim of current) this.#fenced.add(nameOf(claim));
    const partitions = current.map(({ topic, partition }) => ({ topic, partition }));
    if (partitions.length > 0) this.#parts.context.restart(partitions, reason);
  }

  /**
   * A worker that stood still may have been expelled without knowing: it must not take a partition from the next owner. The group's coordinator
   * takes a commit from a present member only.
   */
  async #checkMembership(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return;
    const { consumer } = this.#parts.context;
    try {
      const known = await consumer.committed(partitions);
      const offsets = known.flatMap(({ topic, partition, offset, metadata = '' }) => {
        const next = this.#claims.get(nameOf({ topic, partition }))?.nextOffset ?? offset;
        return next === undefined ? [] : [{ topic, partition, offset: next, metadata }];
      });
      if (offsets.length > 0) await consumer.commit(offsets);
    } catch (error) {
      throw new RetriableError('the group does not say that the partitions are still ours', { cause: error });
    }
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

  async #claim(partition: TopicPartition): Promise<Claim> {
    let isWanted = true;
    try {
      return await this.#answered(this.#parts.store.claim(partition, () => isWanted));
    } finally {
      isWanted = false;
    }
  }

  #claimFailed(partitions: readonly TopicPartition[], claims: readonly PromiseSettledResult<Claim>[]): never {
    const failures = claims.flatMap((one, i) => {
      const partition = partitions[i];
      return one.status === 'rejected' && partition !== undefined ? [{ partition, error: one.reason as unknown }] : [];
    });
    const names = failures.map(({ partition }) => nameOf(partition)).join(', ');
    const [first] = failures;
    const final = failures.find(({ error }) => !passes(error));
    if (final !== undefined) throw final.error;
    const why = isLockTimeout(first?.error) ? 'a transaction of the owner before is open still' : wordsOf(first?.error);
    const error = new RetriableError(`${names} cannot be taken in the database yet: ${why}`, { cause: first?.error });
    this.#parts.context.logger.warn('partitions cannot be taken in the database yet', { partitions: names, error });
    throw error;
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

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
