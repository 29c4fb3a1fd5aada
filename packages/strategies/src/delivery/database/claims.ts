import { type DeliveryContext, RetriableError, type StartOffset, type TopicPartition } from '@kafka-worker/core';
import type { Claim } from './claim.ts';
import type { OffsetStore } from './offset-store.ts';
import { partitionName } from './partition-name.ts';
import { isLockTimeout, passes } from './sql-state.ts';
import { wordsOf } from './words-of.ts';

/** What claims are made with. */
export interface ClaimsParts<Transaction> {
  readonly store: OffsetStore<Transaction>;
  readonly context: DeliveryContext;
  /** As the database answers; rejects when it does not. */
  readonly answered: <T>(promise: Promise<T>) => Promise<T>;
}

/** The partitions that this worker has taken in the database, and how it takes them. */
export class Claims<Transaction> {
  readonly #parts: ClaimsParts<Transaction>;
  readonly #held = new Map<string, Claim>();
  /** Partitions of which a claim was found to be good no more: before the next one it is asked whether they are ours. */
  readonly #fenced = new Set<string>();

  constructor(parts: ClaimsParts<Transaction>) {
    this.#parts = parts;
  }

  /** The claim of a partition, or of a record's. */
  of(partition: TopicPartition): Claim | undefined {
    return this.#held.get(partitionName(partition));
  }

  /** Whether it is the claim of now: one of before says nothing any more. */
  holds(claim: Claim): boolean {
    return this.of(claim) === claim;
  }

  /** Where they go on: nothing of these is handled before. */
  async take(partitions: readonly TopicPartition[]): Promise<StartOffset[]> {
    await this.#checkMembership(partitions.filter((one) => this.#fenced.has(partitionName(one))));
    const claims = await Promise.allSettled(partitions.map((one) => this.#claim(one)));
    const failed = claims.find((one) => one.status === 'rejected');
    if (failed !== undefined) this.#claimFailed(partitions, claims);
    return claims.flatMap((one) => {
      if (one.status === 'rejected') return [];
      const claim = one.value;
      this.#held.set(partitionName(claim), claim);
      this.#fenced.delete(partitionName(claim));
      const { topic, partition, nextOffset } = claim;
      return nextOffset === undefined ? [] : [{ topic, partition, offset: nextOffset }];
    });
  }

  /** These were found to be good no more. */
  doubt(claims: readonly Claim[]): void {
    for (const claim of claims) this.#fenced.add(partitionName(claim));
  }

  /** The partitions are ours no more. */
  drop(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) {
      this.#held.delete(partitionName(one));
      this.#fenced.delete(partitionName(one));
    }
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
        const next = this.#held.get(partitionName({ topic, partition }))?.nextOffset ?? offset;
        return next === undefined ? [] : [{ topic, partition, offset: next, metadata }];
      });
      if (offsets.length > 0) await consumer.commit(offsets);
    } catch (error) {
      throw new RetriableError('the group does not say that the partitions are still ours', { cause: error });
    }
  }

  async #claim(partition: TopicPartition): Promise<Claim> {
    let isWanted = true;
    try {
      return await this.#parts.answered(this.#parts.store.claim(partition, () => isWanted));
    } finally {
      isWanted = false;
    }
  }

  #claimFailed(partitions: readonly TopicPartition[], claims: readonly PromiseSettledResult<Claim>[]): never {
    const failures = claims.flatMap((one, i) => {
      const partition = partitions[i];
      return one.status === 'rejected' && partition !== undefined ? [{ partition, error: one.reason as unknown }] : [];
    });
    const names = failures.map(({ partition }) => partitionName(partition)).join(', ');
    const [first] = failures;
    const final = failures.find(({ error }) => !passes(error));
    if (final !== undefined) throw final.error;
    const why = isLockTimeout(first?.error) ? 'a transaction of the owner before is open still' : wordsOf(first?.error);
    const error = new RetriableError(`${names} cannot be taken in the database yet: ${why}`, { cause: first?.error });
    this.#parts.context.logger.warn('partitions cannot be taken in the database yet', { partitions: names, error });
    throw error;
  }
}
