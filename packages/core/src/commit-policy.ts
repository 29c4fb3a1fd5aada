/** When progress is committed while a worker runs; a release and the end commit in any case. */
export interface CommitPolicy {
  readonly everyMs: number;
  readonly everyRecords: number;
}

/** What the policy looks at. Times in milliseconds. */
export interface CommitState {
  readonly lastCommitAt: number;
  /** Records finished since the last commit began. */
  readonly finishedRecords: number;
  /** Since when nothing is in flight; undefined while something is. */
  readonly idleSince: number | undefined;
}

/** A pause shorter than this between records is no end of work: a commit for each record would follow. */
const IDLE_MS = 100;

/** When the progress that there is has to be committed: now, if the result is not later than `now`. Pure. */
export function commitDueAt(policy: CommitPolicy, state: CommitState): number {
  if (state.finishedRecords >= policy.everyRecords) return Number.NEGATIVE_INFINITY;
  const periodic = state.lastCommitAt + policy.everyMs;
  return state.idleSince === undefined ? periodic : Math.min(periodic, state.idleSince + IDLE_MS);
}
