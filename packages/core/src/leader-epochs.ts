/** From that next offset on, this is the epoch. */
interface Change {
  readonly from: number;
  readonly epoch: number | undefined;
}

/**
 * Of one partition, in which leader's epoch what lies below a next offset was written. It is committed with that offset, so that whoever goes on there
 * can tell a log that has lost it from the one that was read (KIP-320). An epoch that is too old for its offset would make a sound log look like another
 * one: what is not known for sure is undefined.
 */
export class LeaderEpochs {
  /** In order of `from`. There are few: a leader's epoch lasts for hours as a rule. */
  readonly #changes: Change[];
  #latest: number | undefined;

  /** @param epoch what stands with the offset that reading starts at, if anything */
  constructor(startOffset: number, epoch: number | undefined) {
    this.#changes = [{ from: startOffset, epoch }];
    this.#latest = epoch;
  }

  /**
   * The position moves on from `position`, over a record or a gap that ends in this epoch. The log below any offset between is no younger, so the epoch
   * holds for all of them, gaps included; one that is not known says nothing of them. What is known of `position` itself stays: whoever goes on there has
   * seen nothing of a later epoch, and a log that has lost that has lost nothing of theirs.
   */
  moved(position: number, epoch: number | undefined): void {
    if (epoch === this.#latest) return;
    const isKnown = this.#latest !== undefined;
    this.#latest = epoch;
    // Unknown for a while, and the same again: so it was all the time.
    if (!isKnown && this.#changes.length > 1 && this.#changes.at(-2)?.epoch === epoch) {
      this.#changes.pop();
      return;
    }
    const from = isKnown ? position + 1 : position;
    const last = this.#changes.at(-1);
    if (last !== undefined && last.from >= from) this.#changes.pop();
    this.#changes.push({ from, epoch });
  }

  /** The epoch to commit with a next offset; undefined when it is not known. */
  before(nextOffset: number): number | undefined {
    return this.#changes.findLast(({ from }) => from <= nextOffset)?.epoch;
  }

  /** Nothing below is asked for any more. */
  forget(nextOffset: number): void {
    const first = this.#changes.findLastIndex(({ from }) => from <= nextOffset);
    if (first > 0) this.#changes.splice(0, first);
  }
}
