import { IllegalStateError } from '../errors.ts';
import type { Poll } from '../kafka-client.ts';
import type { KafkaWorkerError } from '../kafka-worker-error.ts';

const nothing: Poll = { events: [], records: [], positions: [], errors: [] };

/** Errors kept for the next poll: when nobody polls, the oldest tell what began it. */
const MAX_ERRORS = 100;

/**
 * So long may polls be answered one after the other before timers and sockets get their turn: handlers that wait for them would wait for all that
 * has been fetched to be read.
 */
const SLICE_MS = 1;

/** What there is to take now. */
export type Take = (maxRecords: number) => Omit<Poll, 'errors'>;

/** The poll under way, which waits for anything to report, and the errors that wait for a poll. */
export class Polling {
  readonly #take: Take;
  #errors: KafkaWorkerError[] = [];
  /** Records are being taken: what is reported meanwhile comes with them. */
  #isTaking = false;
  /** When a poll had waited for the event loop last. */
  #turnedAt = 0;
  #waiting: { readonly maxRecords: number; readonly end: (poll: Poll) => void } | undefined;

  constructor(take: Take) {
    this.#take = take;
  }

  /** Resolves with what there is, or with what comes within `waitMs`. @throws IllegalStateError when a poll is under way */
  async poll(maxRecords: number, waitMs: number): Promise<Poll> {
    if (this.#waiting !== undefined) throw new IllegalStateError('one poll at a time');
    const isSliceUsedUp = performance.now() - this.#turnedAt >= SLICE_MS;
    if (!isSliceUsedUp || waitMs === 0) {
      const poll = this.#collect(maxRecords);
      if (poll !== undefined) return poll;
      if (waitMs === 0) return nothing;
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), waitMs);
      const turn = isSliceUsedUp ? setImmediate(() => this.changed()) : undefined;
      const end = (poll: Poll): void => {
        clearTimeout(timer);
        clearImmediate(turn);
        this.#waiting = undefined;
        this.#turnedAt = performance.now();
        resolve(poll);
      };
      this.#waiting = { maxRecords, end };
    });
  }

  /** Ends the wait with what there is. */
  wake(): void {
    this.#waiting?.end(this.#collect(this.#waiting.maxRecords) ?? nothing);
  }

  /** Ends the wait with nothing. */
  end(): void {
    this.#waiting?.end(nothing);
  }

  /** There may be something to take. */
  changed(): void {
    if (this.#waiting === undefined || this.#isTaking) return;
    const poll = this.#collect(this.#waiting.maxRecords);
    if (poll !== undefined) this.#waiting.end(poll);
  }

  report(error: KafkaWorkerError): void {
    if (this.#errors.length < MAX_ERRORS && !this.#errors.some((known) => known.message === error.message)) {
      this.#errors.push(error);
    }
    this.changed();
  }

  #collect(maxRecords: number): Poll | undefined {
    const { events, records, positions } = this.#taken(maxRecords);
    const errors = this.#errors;
    if (events.length === 0 && records.length === 0 && positions.length === 0 && errors.length === 0) return undefined;
    if (errors.length > 0) this.#errors = [];
    return { events, records, positions, errors };
  }

  #taken(maxRecords: number): ReturnType<Take> {
    this.#isTaking = true;
    try {
      return this.#take(maxRecords);
    } finally {
      this.#isTaking = false;
    }
  }
}
