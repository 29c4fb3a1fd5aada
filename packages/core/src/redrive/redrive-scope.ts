import type { StartOffset } from '../kafka-client.ts';
import type { NextOffset, TopicPartition } from '../record.ts';

/** One partition of the scope. */
export interface ScopePartition extends TopicPartition {
  /** Where the group stood. */
  readonly start: number;
  /** Where the log ended. */
  readonly end: number;
  /** What is committed and lies outside the log, so that it says nothing about progress. */
  readonly stale: number | undefined;
}

interface Span {
  readonly start: number;
  end: number;
  next: number;
  stale: number | undefined;
}

/** What one redrive takes on: in each partition the offsets from where the group stood to where the log ended when it started. Pure. */
export class RedriveScope {
  readonly topic: string;
  readonly total: number;
  readonly #spans: ReadonlyMap<number, Span>;

  constructor(topic: string, partitions: readonly ScopePartition[]) {
    this.topic = topic;
    this.#spans = new Map(
      partitions.map(({ partition, start, end, stale }) => [partition, { start, end, next: start, stale }]),
    );
    this.total = this.left;
  }

  get left(): number {
    let left = 0;
    for (const { next, end } of this.#spans.values()) left += Math.max(0, end - next);
    return left;
  }

  get isDone(): boolean {
    return this.left === 0;
  }

  /** Where the group stood. */
  get starts(): StartOffset[] {
    return Array.from(this.#spans, ([partition, { start }]) => ({ topic: this.topic, partition, offset: start }));
  }

  /** Partitions of which the group has not committed everything. */
  get open(): TopicPartition[] {
    return [...this.#spans]
      .filter(([, { next, end }]) => next < end)
      .map(([partition]) => ({ topic: this.topic, partition }));
  }

  has({ partition, offset }: NextOffset): boolean {
    return offset < (this.#spans.get(partition)?.end ?? 0);
  }

  /** Progress of our own. */
  committed({ partition, offset }: NextOffset): void {
    const span = this.#spans.get(partition);
    if (span !== undefined) span.next = Math.max(span.next, offset);
  }

  /** What the group has committed, whoever did it. */
  found(partition: number, offset: number): void {
    const span = this.#spans.get(partition);
    if (span === undefined || offset === span.stale) return;
    span.stale = undefined;
    span.next = Math.max(span.next, offset);
  }

  /** Goes further than where the log ended at the start. */
  extend(ends: readonly StartOffset[]): void {
    for (const { partition, offset } of ends) {
      const span = this.#spans.get(partition);
      if (span !== undefined) span.end = Math.max(span.end, offset);
    }
  }
}
