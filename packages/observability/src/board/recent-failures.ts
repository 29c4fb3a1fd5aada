import type { WorkerEvents } from '@kafka-worker/core';
import { withoutQuotedJson } from '../error-text.ts';
import { clip } from './clip.ts';

const MAX_FAILURES = 50;
/** In a storm of failures the first few of each second are shown; the others are only counted. */
const MAX_PER_SECOND = 10;
const MAX_TEXT = 400;
const MAX_KEY = 100;
const MAX_CAUSES = 3;

/** Something that went wrong, as it is shown: never with the value of a record. */
export interface RecentFailure {
  /** Counts up: tells failures apart. */
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly worker: string;
  readonly what: 'handler' | 'dead letter' | 'commit' | 'worker';
  /** `topic/partition`, and the offset, if it is of a record. */
  readonly place?: string;
  readonly offset?: number;
  readonly key?: string | null;
  readonly attempt?: number;
  /** What is done about it. */
  readonly decision?: string;
  readonly error: string;
}

type Details = Omit<RecentFailure, 'id' | 'at' | 'error'>;

/** The last failures, the newest first: bounded in number, in text, and in what they cost. */
export class RecentFailures {
  readonly #failures: RecentFailure[] = [];
  #count = 0;
  #ofThisSecond = 0;
  /** Not shown, for there were too many at once. */
  leftOut = 0;

  list(): readonly RecentFailure[] {
    return this.#failures;
  }

  /** A second is over. */
  tick(): void {
    this.#ofThisSecond = 0;
  }

  /** What to listen to of a worker of that name. */
  listeners(worker: string): Pick<WorkerEvents, 'failed' | 'dead-letter-failed' | 'commit-failed' | 'error'> {
    return {
      failed: ({ record, error, attempt, decision }) =>
        this.#add(error, () => ({ ...placed(worker, 'handler', record), attempt, decision: decision.do })),
      'dead-letter-failed': ({ record, error }) => this.#add(error, () => placed(worker, 'dead letter', record)),
      'commit-failed': ({ error }) => this.#add(error, () => ({ worker, what: 'commit' })),
      error: ({ error }) => this.#add(error, () => ({ worker, what: 'worker' })),
    };
  }

  #add(error: unknown, details: () => Details): void {
    if (this.#ofThisSecond >= MAX_PER_SECOND) {
      this.leftOut++;
      return;
    }
    this.#ofThisSecond++;
    this.#count++;
    this.#failures.unshift({
      id: this.#count,
      at: Date.now(),
      ...details(),
      error: clip(withoutQuotedJson(textOf(error)), MAX_TEXT),
    });
    if (this.#failures.length > MAX_FAILURES) this.#failures.pop();
  }
}

function placed(
  worker: string,
  what: RecentFailure['what'],
  record: Parameters<WorkerEvents['failed']>[0]['record'],
): Details {
  const { topic, partition, offset } = record;
  return { worker, what, place: `${topic}/${partition}`, offset, ...keyOf(record) };
}

/** A key is decoded when it is read, and may not be what its deserializer expects: then the error says so. */
function keyOf(record: { readonly key: unknown }): { readonly key?: string | null } {
  try {
    const { key } = record;
    if (key === null) return { key };
    if (Buffer.isBuffer(key)) return { key: clip(key.subarray(0, MAX_KEY * 4).toString(), MAX_KEY) };
    return { key: clip(typeof key === 'string' ? key : (JSON.stringify(key) ?? typeof key), MAX_KEY) };
  } catch {
    return {};
  }
}

function textOf(error: unknown, causes = 0): string {
  try {
    if (!(error instanceof Error)) return String(error);
    const own = `${error.name}: ${error.message}`;
    return error.cause === undefined || causes >= MAX_CAUSES ? own : `${own} ← ${textOf(error.cause, causes + 1)}`;
  } catch {
    return 'an error that cannot be told';
  }
}
