import type { Clock, Timer } from './clock.ts';
import { type CommitPolicy, commitDueAt } from './commit-policy.ts';
import type { DeliverySession, PartitionProgress } from './delivery.ts';
import { CommitError, type UnwritableSend } from './errors.ts';
import type { EventListeners } from './events.ts';
import { isKafkaWorkerError, type KafkaWorkerError, toError } from './kafka-worker-error.ts';
import type { KeptSends } from './kept-sends.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { isBetweenGenerations, isExplainedByRebalance, isRebalanceUnderWay } from './rebalance-errors.ts';
import type { NextOffset } from './record.ts';
import type { Turns } from './turns.ts';
import { withTimeout } from './with-timeout.ts';

const RETRY_INITIAL_MS = 100;
const RETRY_MAX_MS = 5_000;
/** What the committer works with. */
export interface CommitterParts {
  readonly policy: CommitPolicy;
  readonly clock: Clock;
  readonly turns: Turns;
  readonly events: EventListeners;
  readonly session: DeliverySession;
  /** What is written with the progress, under a delivery that does that. */
  readonly keptSends: KeptSends | undefined;
  /** Messages can never be written: something has to become of their records before the same can be committed. */
  readonly unwritable: (sends: readonly UnwritableSend[]) => void;
  readonly owned: () => Iterable<OwnedPartition>;
  /** Nothing is in flight. */
  readonly isIdle: () => boolean;
  /** A commit failed in a way that no repetition mends. */
  readonly fail: (error: KafkaWorkerError) => void;
}

/** How a commit that failed is repeated. */
interface Repeating {
  /** Whether to repeat it no more. */
  readonly isGivenUp?: () => boolean;
  /** No periodic commit follows: what is not committed now will be handled again. @defaultValue false */
  readonly isLast?: boolean;
}

/** Commits the frontiers of the owned partitions: one commit at a time, when the policy says, again when one failed. */
export class Committer {
  readonly #parts: CommitterParts;
  #lastCommitAt: number;
  #finishedRecords = 0;
  #idleSince: number | undefined;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #underWay: Promise<void> | undefined;
  #failures = 0;
  #startedAt: number | undefined;
  #hasProgress = false;
  /** There was more than one commit takes: the next follows at once. */
  #isBehind = false;
  #isClosed = false;
  /** Commits that wait for their turn, before a release for example: no periodic one gets in between. */
  #waiting = 0;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
    this.#lastCommitAt = parts.clock.now();
  }

  /** A record was finished, or a position moved. */
  noteProgress(records: number): void {
    this.#finishedRecords += records;
    this.#hasProgress = true;
  }

  /** Records came in: whatever pause there was is over. */
  noteActivity(): void {
    this.#idleSince = undefined;
  }

  /** After every turn: commits if it is time, or sees to it that it will be noticed. */
  check(): void {
    if (!this.#hasProgress || this.#underWay !== undefined || this.#waiting > 0 || this.#isClosed) return;
    const { clock, policy, isIdle } = this.#parts;
    if (!isIdle()) this.#idleSince = undefined;
    else this.#idleSince ??= clock.now();
    const isEarly = this.#finishedRecords < policy.everyRecords && !this.#isBehind;
    if (isEarly && this.#idleSince === undefined && this.#timer !== undefined) return;
    const state = {
      lastCommitAt: this.#lastCommitAt,
      finishedRecords: this.#finishedRecords,
      idleSince: this.#idleSince,
    };
    const backoffMs = this.#failures === 0 ? 0 : Math.min(RETRY_MAX_MS, RETRY_INITIAL_MS * 2 ** (this.#failures - 1));
    const now = clock.now();
    const nextAt = this.#isBehind ? now : commitDueAt(policy, state);
    const dueAt = this.#failures === 0 ? nextAt : this.#lastCommitAt + backoffMs;
    if (dueAt <= now) this.#commitPeriodically();
    else this.#checkAt(dueAt, now);
  }

  /**
   * Commits what these partitions have to commit, after the commit that is under way; retriable failures are repeated until the time is up.
   * Never rejects: the error of what was not committed in the end, which an event has told too; undefined when everything was.
   */
  async commitBefore(
    partitions: readonly OwnedPartition[],
    timeoutMs: number,
    repeating: Repeating = {},
  ): Promise<KafkaWorkerError | undefined> {
    return this.#inTurn(() => this.#commitUntil(partitions, this.#parts.clock.now() + timeoutMs, repeating));
  }

  /** Runs a commit that is not of owned partitions (yet) by itself: commits never overlap. Rejects as it does. */
  async alone(commit: () => Promise<void>): Promise<void> {
    await this.#inTurn(async () => {
      while (this.#underWay !== undefined) await this.#underWay;
      const attempt = commit();
      this.#startedAt = this.#parts.clock.now();
      this.#underWay = attempt.catch(() => {});
      try {
        await attempt;
      } finally {
        this.#underWay = undefined;
        this.#startedAt = undefined;
      }
    });
  }

  async #inTurn<T>(run: () => Promise<T>): Promise<T> {
    this.#waiting++;
    try {
      return await run();
    } finally {
      this.#waiting--;
      // What became due meanwhile.
      this.#parts.turns.run(() => {});
    }
  }

  async #commitUntil(
    partitions: readonly OwnedPartition[],
    deadline: number,
    { isGivenUp, isLast = false }: Repeating,
  ): Promise<KafkaWorkerError | undefined> {
    const { clock } = this.#parts;
    const isOfGroup = isLast ? isBetweenGenerations : isRebalanceUnderWay;
    let error: KafkaWorkerError | undefined;
    for (let attempt = 0; ; attempt++) {
      while (this.#underWay !== undefined) {
        const inTime = await withTimeout(this.#underWay, deadline - clock.now(), clock);
        if (!inTime) return error ?? this.#notAcknowledged(partitions);
      }
      const offsets = this.#progressOf(partitions);
      if (offsets.length === 0) return undefined;
      if (attempt > 0 && clock.now() >= deadline) return error ?? this.#notAcknowledged(partitions);
      error = await this.#commit(offsets, partitions, Math.max(deadline - clock.now(), 1));
      if (error === undefined) continue;
      if (!error.retriable && !isOfGroup(error)) return error;
      if (isDecided(error)) continue;
      const backoffMs = Math.min(RETRY_MAX_MS, RETRY_INITIAL_MS * 2 ** attempt, Math.max(deadline - clock.now(), 0));
      await new Promise<void>((resolve) => clock.setTimeout(resolve, backoffMs));
      if (isGivenUp?.() === true) return error;
    }
  }

  /** The commit before never came back: this one did not get its turn. */
  #notAcknowledged(partitions: readonly OwnedPartition[]): KafkaWorkerError | undefined {
    const offsets = this.#progressOf(partitions);
    if (offsets.length === 0) return undefined;
    const error = notAcknowledged(offsets);
    this.#parts.events.emit('commit-failed', { offsets: offsets.map(nextOffsetOf), error });
    return error;
  }

  /** No periodic commit begins from now on. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.clear();
  }

  /** Why progress is not committed, for health. */
  get failures(): number {
    return this.#failures;
  }

  /** Since when a commit waits for its acknowledgement. */
  get underWaySince(): number | undefined {
    return this.#startedAt;
  }

  #checkAt(dueAt: number, now: number): void {
    if (this.#timer !== undefined && this.#timerAt <= dueAt) return;
    this.#timer?.clear();
    this.#timerAt = dueAt;
    this.#timer = this.#parts.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#parts.turns.run(() => {});
    }, dueAt - now);
  }

  #commitPeriodically(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    const partitions = [...this.#parts.owned()].filter((owned) => owned.phase === 'active');
    const offsets = this.#progressOf(partitions);
    this.#hasProgress = false;
    if (offsets.length === 0) {
      this.#finishedRecords = 0;
      return;
    }
    void this.#commit(offsets, partitions, Number.POSITIVE_INFINITY).then((error) => {
      if (error === undefined) return;
      this.#hasProgress = true;
      if (error.retriable || isExplainedByRebalance(error)) this.#parts.turns.run(() => {});
      else this.#parts.fail(error);
    });
  }

  /** One commit, with what it means for its partitions. The error of one that failed, wholly or in part. */
  async #commit(
    offsets: readonly PartitionProgress[],
    partitions: readonly OwnedPartition[],
    timeoutMs: number,
  ): Promise<KafkaWorkerError | undefined> {
    const { clock, events, session, turns } = this.#parts;
    const startedAt = clock.now();
    this.#lastCommitAt = startedAt;
    this.#startedAt = startedAt;
    this.#finishedRecords = 0;
    let error: KafkaWorkerError | undefined;
    const attempt = this.#attempt(session, offsets, timeoutMs).then((failure) => {
      error = failure;
    });
    this.#underWay = attempt;
    await attempt;
    this.#underWay = undefined;
    this.#startedAt = undefined;
    turns.run(() => {
      const failed = new Set(failedPartitions(error, offsets));
      const committed = offsets.filter((offset) => !failed.has(`${offset.topic}/${offset.partition}`));
      for (const progress of committed) {
        const { topic, partition, offset } = progress;
        const owner = partitions.find((one) => one.topic === topic && one.partition === partition);
        if (owner === undefined) continue;
        owner.noteCommitted(progress);
        this.#parts.keptSends?.landed(owner, offset);
        // What is new, or was too much for one commit, follows in the next.
        if (owner.phase === 'active' && owner.progress() !== undefined) this.#hasProgress = true;
      }
      const { keptSends } = this.#parts;
      // What the others have to commit need not wait: what was in the way is not in the next one.
      const isOnItsWay = error === undefined || isDecided(error);
      if (isDecided(error)) this.#parts.unwritable(error.unwritable);
      if (error === undefined) keptSends?.ended(offsets, 'acknowledged');
      else if (!isOnItsWay && !isExplainedByRebalance(error)) keptSends?.ended(offsets, 'failed');
      this.#isBehind = isOnItsWay && (error !== undefined || keptSends?.isCut === true);
      // What was too much for this one may be all that some partitions have.
      if (keptSends?.isCut === true) this.#hasProgress = true;
      this.#failures = isOnItsWay ? 0 : this.#failures + 1;
      if (committed.length > 0)
        events.emit('committed', { offsets: committed.map(nextOffsetOf), durationMs: clock.now() - startedAt });
      if (error !== undefined) {
        events.emit('commit-failed', {
          offsets: offsets.filter((o) => failed.has(`${o.topic}/${o.partition}`)).map(nextOffsetOf),
          error,
        });
      }
    });
    return error;
  }

  #progressOf(partitions: readonly OwnedPartition[]): PartitionProgress[] {
    return this.#parts.keptSends?.progressOf(partitions) ?? progressOf(partitions);
  }

  async #attempt(
    session: DeliverySession,
    offsets: readonly PartitionProgress[],
    timeoutMs: number,
  ): Promise<KafkaWorkerError | undefined> {
    try {
      const inTime = await withTimeout(session.commit({ partitions: offsets }), timeoutMs, this.#parts.clock);
      return inTime ? undefined : notAcknowledged(offsets);
    } catch (thrown) {
      if (isKafkaWorkerError(thrown)) return thrown;
      const reason = toError(thrown).message;
      const failures = offsets.map(({ topic, partition, offset }) => ({
        topic,
        partition,
        offset,
        kafkaCode: -1,
        reason,
      }));
      return new CommitError(failures, { retriable: false, cause: thrown });
    }
  }
}

/** It failed for messages that can never be written, and what becomes of their records is decided. */
function isDecided(error: KafkaWorkerError | undefined): error is CommitError {
  return error instanceof CommitError && error.unwritable.length > 0;
}

function notAcknowledged(offsets: readonly NextOffset[]): CommitError {
  const failures = offsets.map(({ topic, partition, offset }) => ({
    ...{ topic, partition, offset },
    ...{ kafkaCode: -185, reason: 'not acknowledged in time' },
  }));
  return new CommitError(failures, { retriable: true });
}

function progressOf(partitions: readonly OwnedPartition[]): PartitionProgress[] {
  return partitions.flatMap((owned) => (owned.phase === 'ended' ? [] : (owned.progress() ?? [])));
}

/** For those who listen: what else is committed with it is no next offset. */
function nextOffsetOf(progress: PartitionProgress): NextOffset {
  if (progress.sends === undefined && progress.finished === undefined) return progress;
  const { sends: _, finished: __, ...next } = progress;
  return next;
}

function failedPartitions(error: KafkaWorkerError | undefined, offsets: readonly NextOffset[]): string[] {
  if (error === undefined) return [];
  const named = (error as Partial<CommitError>).failures ?? offsets;
  return named.map(({ topic, partition }) => `${topic}/${partition}`);
}
