/** So many transactions in a row have to succeed until nobody asks for each message any more. */
const CAREFUL_COMMITS = 100;

/**
 * How a transaction's messages are written: together, which costs a third less, or, from a failure on, each with an answer of its own, so that it is known
 * which of them it is for. Pure.
 */
export class WriteMode {
  #carefulCommits = 0;

  get tellsEach(): boolean {
    return this.#carefulCommits > 0;
  }

  /** A transaction was committed. */
  committed(): void {
    this.#carefulCommits = Math.max(this.#carefulCommits - 1, 0);
  }

  /** A transaction with messages was not committed, and it may be for the sake of one of them; or one is to be written that was refused before. */
  failed(): void {
    this.#carefulCommits = CAREFUL_COMMITS;
  }
}
