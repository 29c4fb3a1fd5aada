import type { ConcurrencyStrategy } from '@kafka-worker/core';

/** A record as the suite sent it. */
export interface SentRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  /** A header; null for a record without it. */
  readonly tenant: string | null;
}

/** One limit of a strategy: at most `most` different ones of `of` are active at once among the records that are equal under `among`. */
export interface ExpectedLimit {
  readonly most: number;
  /** Which records share the limit. @defaultValue all of them */
  readonly among?: (record: SentRecord) => string;
  /** What is counted: partitions, keys; undefined is a call for itself. @defaultValue every call */
  readonly of?: (record: SentRecord) => string | undefined;
  /** Who is active stays so for a turn, then ends what runs and lets another one in. */
  readonly hasTurns?: boolean;
}

/** A strategy, and what it promises, said without its rules. */
export interface ConcurrencyUnderTest {
  readonly strategy: ConcurrencyStrategy;
  /** The lane in which a record keeps its order; undefined if nothing orders it. */
  readonly laneOf: (record: SentRecord) => string | undefined;
  readonly limits: readonly ExpectedLimit[];
  /** How many calls start in a second at most; then something may wait though there is room for it. */
  readonly perSecond?: number;
}
