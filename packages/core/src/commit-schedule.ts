import { type CommitPolicy, commitDueAt } from './commit-policy.ts';

const RETRY_INITIAL_MS = 100;
const RETRY_MAX_MS = 5_000;

/** The wait before a commit that has failed so often in a row is tried again. */
export function commitBackoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(RETRY_MAX_MS, RETRY_INITIAL_MS * 2 ** (failures - 1));
}

/** What became of a commit, as far as it decides when the next one is due. */
export interface ScheduledEnd {
  /** It succeeded, or what was in its way is not in the next one. */
  readonly isOnItsWay: boolean;
  /** There was more than one commit takes: the next follows at once. */
  readonly isBehind: boolean;
}

/** When the next periodic commit is due: as the policy says, later and later while commits fail. Pure. */
export class CommitSchedule {
  readonly #policy: CommitPolicy;
  #lastCommitAt: number;
  #finishedRecords = 0;
  #idleSince: number | undefined;
  #isBehind = false;
  #failures = 0;
  /** There may be something to commit. */
  hasProgress = false;

  constructor(policy: CommitPolicy, now: number) {
    this.#policy = policy;
    this.#lastCommitAt = now;
  }

  /** How many commits have failed in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** Nothing but time makes a commit due: what is known of that still holds. */
  get waitsForTime(): boolean {
    return this.#finishedRecords < this.#policy.everyRecords && !this.#isBehind && this.#idleSince === undefined;
  }

  /** A record was finished, or a position moved. */
  noteProgress(records: number): void {
    this.#finishedRecords += records;
    this.hasProgress = true;
  }

  /** Whether nothing is in flight now. */
  noteIdle(isIdle: boolean, now: number): void {
    if (isIdle) this.#idleSince ??= now;
    else this.#idleSince = undefined;
  }

  /** A commit of all that is finished begins. */
  began(now: number): void {
    this.#lastCommitAt = now;
    this.#finishedRecords = 0;
  }

  /** There was nothing to commit. */
  foundNothing(): void {
    this.#finishedRecords = 0;
  }

  ended({ isOnItsWay, isBehind }: ScheduledEnd): void {
    this.#isBehind = isBehind;
    this.#failures = isOnItsWay ? 0 : this.#failures + 1;
  }

  /** Not later than `now` where it is due. */
  dueAt(now: number): number {
    if (this.#failures > 0) return this.#lastCommitAt + commitBackoffMs(this.#failures);
    if (this.#isBehind) return now;
    return commitDueAt(this.#policy, {
      lastCommitAt: this.#lastCommitAt,
      finishedRecords: this.#finishedRecords,
      idleSince: this.#idleSince,
    });
  }
}
