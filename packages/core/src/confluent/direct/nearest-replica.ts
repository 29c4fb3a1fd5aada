/** How long a replica other than the leader is asked before the leader is asked again which one is near (KIP-392). */
const REPLICA_MS = 5 * 60_000;

/**
 * How long no replica is asked when one has failed: the leader, which cannot know that, would name it again at once. It may only have been restarted, so
 * that is short at first, and twice as long each time that none has answered in between.
 */
const LEADER_ONLY_MS = 5_000;
const MAX_LEADER_ONLY_MS = 60_000;

/** Which replica a partition is read from: the nearest, as its leader says where it is asked with a rack, or the leader itself. Pure. */
export class NearestReplica {
  #replica: { readonly id: number; readonly until: number } | undefined;
  #leaderOnlyUntil = 0;
  #failures = 0;

  /** Which replica to ask, or, where a request `isAsked`, is being asked: its answer is no leader's word, however late it comes. */
  at(now: number, isAsked: boolean): number | undefined {
    return this.#replica !== undefined && (isAsked || now < this.#replica.until) ? this.#replica.id : undefined;
  }

  /** Whether the leader shall send records itself, whoever is nearer. */
  isLeaderOnlyAt(now: number): boolean {
    return now < this.#leaderOnlyUntil;
  }

  /** The leader has named one. */
  named(id: number, now: number): void {
    this.#replica = { id, until: now + REPLICA_MS };
  }

  /** Records came, of the replica if one is asked. */
  answered(): void {
    if (this.#replica !== undefined) this.#failures = 0;
  }

  /** What was asked has failed: the leader is asked, by itself where that was a replica. */
  failed(now: number): void {
    if (this.#replica === undefined) return;
    this.#replica = undefined;
    this.#leaderOnlyUntil = now + Math.min(MAX_LEADER_ONLY_MS, LEADER_ONLY_MS * 2 ** this.#failures);
    this.#failures++;
  }

  /** Reading begins elsewhere. */
  reset(): void {
    this.#replica = undefined;
  }
}
