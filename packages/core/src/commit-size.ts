/** What one commit may have to write; at least one record's. The rest follows in the next, at once: a transaction must not take too long. */
const MAX_MESSAGES = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * How much one commit may have to write. Less after one that failed: what was too much for the time that brokers give a transaction, or for brokers that
 * are slow for now, would be too much the next time as well, and the records behind it would wait without end. Pure.
 */
export class CommitSize {
  #messages = MAX_MESSAGES;

  get messages(): number {
    return this.#messages;
  }

  get bytes(): number {
    return Math.max(1, Math.floor((MAX_BYTES * this.#messages) / MAX_MESSAGES));
  }

  /** A commit with so many messages was acknowledged. */
  succeeded(messages: number): void {
    if (messages > 0) this.#messages = Math.min(this.#messages * 2, MAX_MESSAGES);
  }

  /** A commit with so many messages failed, and nobody knows of a message that was the reason. */
  failed(messages: number): void {
    if (messages > 0) this.#messages = Math.max(1, Math.floor(Math.min(this.#messages, messages) / 2));
  }
}
