import type { TopicPartition } from '@kafka-worker/core';

/** Where topics come and go, such as one for each job, those that were read once would be counted for ever. */
const MAX_FORMER = 100;

/** Which topics a worker owns partitions of, and which it has owned. */
export class FormerTopics {
  readonly #partitions = new Map<string, number>();
  /** The one that has been so for longest first. */
  readonly #former = new Set<string>();

  assigned(partitions: readonly TopicPartition[]): void {
    for (const { topic } of partitions) {
      this.#partitions.set(topic, (this.#partitions.get(topic) ?? 0) + 1);
      this.#former.delete(topic);
    }
  }

  /** Gives those topics that nothing has to be kept of any more. */
  revoked(partitions: readonly TopicPartition[]): string[] {
    for (const { topic } of partitions) {
      const left = (this.#partitions.get(topic) ?? 0) - 1;
      if (left > 0) this.#partitions.set(topic, left);
      else if (this.#partitions.delete(topic)) this.#former.add(topic);
    }
    const forgotten = [...this.#former].slice(0, Math.max(0, this.#former.size - MAX_FORMER));
    for (const topic of forgotten) this.#former.delete(topic);
    return forgotten;
  }
}
