import type { Clock, Timer } from './clock.ts';
import { attemptCommit, type CommitEnd, isDecided, notAcknowledged } from './commit-attempt.ts';
import type { CommitPolicy } from './commit-policy.ts';
import { CommitSchedule, commitBackoffMs } from './commit-schedule.ts';
import type { DeliverySession, PartitionProgress } from './delivery.ts';
import type { UnwritableSend } from './errors.ts';
import type { EventListeners } from './events.ts';
import type { KafkaWorkerError } from './kafka-worker-error.ts';
import type { KeptSends } from './kept-sends.ts';
import type { OwnedPartition } from './owned-partition.ts';
import { isBetweenGenerations, isExplainedByRebalance, isRebalanceUnderWay } from './rebalance-errors.ts';
import type { NextOffset } from './record.ts';
import type { Turns } from './turns.ts';
import { withTimeout } from './with-timeout.ts';

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
  readonly #schedule: CommitSchedule;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #underWay: Promise<void> | undefined;
  #startedAt: number | undefined;
  #isClosed = false;
  /** Commits that wait for their turn, before a release for example: no periodic one gets in between. */
  #waiting = 0;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
    this.#schedule = new CommitSchedule(parts.policy, parts.clock.now());
  }

  /** A record was finished, or a position moved. */
  noteProgress(records: number): void {
    this.#schedule.noteProgress(records);
  }

  /** Records came in: whatever pause there was is over. */
  noteActivity(): void {
    this.#schedule.noteIdle(false, 0);
  }

  /** After every turn: commits if it is time, or sees to it that it will be noticed. */
  check(): void {
    const schedule = this.#schedule;
    if (!schedule.hasProgress || this.#underWay !== undefined || this.#waiting > 0 || this.#isClosed) return;
    const { clock, isIdle } = this.#parts;
    const now = clock.now();
    schedule.noteIdle(isIdle(), now);
    if (schedule.waitsForTime && this.#timer !== undefined) return;
    const dueAt = schedule.dueAt(now);
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
      const backoffMs = Math.min(commitBackoffMs(attempt + 1), Math.max(deadline - clock.now(), 0));
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
    return this.#schedule.failures;
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
    this.#schedule.hasProgress = false;
    if (offsets.length === 0) {
      this.#schedule.foundNothing();
      return;
    }
    void this.#commit(offsets, partitions, Number.POSITIVE_INFINITY).then((error) => {
      if (error === undefined) return;
      this.#schedule.hasProgress = true;
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
    const { clock, session, turns } = this.#parts;
    const startedAt = clock.now();
    this.#schedule.began(startedAt);
    this.#startedAt = startedAt;
    let end: CommitEnd = { committed: [], failed: [], error: undefined };
    const attempt = attemptCommit(session, offsets, timeoutMs, clock).then((ended) => {
      end = ended;
    });
    this.#underWay = attempt;
    await attempt;
    this.#underWay = undefined;
    this.#startedAt = undefined;
    turns.run(() => {
      this.#landed(end.committed, partitions);
      this.#ended(offsets, end.error);
      this.#tell(end, clock.now() - startedAt);
    });
    return end.error;
  }

  #landed(committed: readonly PartitionProgress[], partitions: readonly OwnedPartition[]): void {
    for (const progress of committed) {
      const { topic, partition, offset } = progress;
      const owner = partitions.find((one) => one.topic === topic && one.partition === partition);
      if (owner === undefined) continue;
      owner.noteCommitted(progress);
      this.#parts.keptSends?.landed(owner, offset);
      // What is new, or was too much for one commit, follows in the next.
      if (owner.phase === 'active' && owner.progress() !== undefined) this.#schedule.hasProgress = true;
    }
  }

  /** What it means for the next one. */
  #ended(offsets: readonly PartitionProgress[], error: KafkaWorkerError | undefined): void {
    const { keptSends, unwritable } = this.#parts;
    // What the others have to commit need not wait: what was in the way is not in the next one.
    const isOnItsWay = error === undefined || isDecided(error);
    if (isDecided(error)) unwritable(error.unwritable);
    if (error === undefined) keptSends?.ended(offsets, 'acknowledged');
    else if (!isOnItsWay && !isExplainedByRebalance(error)) keptSends?.ended(offsets, 'failed');
    const isCut = keptSends?.isCut === true;
    this.#schedule.ended({ isOnItsWay, isBehind: isOnItsWay && (error !== undefined || isCut) });
    // What was too much for this one may be all that some partitions have.
    if (isCut) this.#schedule.hasProgress = true;
  }

  #tell({ committed, failed, error }: CommitEnd, durationMs: number): void {
    const { events } = this.#parts;
    if (committed.length > 0) events.emit('committed', { offsets: committed.map(nextOffsetOf), durationMs });
    if (error !== undefined) events.emit('commit-failed', { offsets: failed.map(nextOffsetOf), error });
  }

  #progressOf(partitions: readonly OwnedPartition[]): PartitionProgress[] {
    return this.#parts.keptSends?.progressOf(partitions) ?? progressOf(partitions);
  }
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
