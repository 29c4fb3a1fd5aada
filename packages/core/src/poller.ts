import type { Clock } from './clock.ts';
import { IllegalStateError } from './errors.ts';
import type { KafkaConsumer, Poll } from './kafka-client.ts';
import type { Turns } from './turns.ts';

/** A poll that brought nothing but errors is not repeated at once. */
const ERROR_PAUSE_MS = 100;
/** How long a poll waits when nothing happens; what happens ends it. */
const POLL_WAIT_MS = 1_000;

/** What the poller works with. */
export interface PollerParts {
  readonly consumer: KafkaConsumer;
  readonly clock: Clock;
  /** How many records may come now; 0 for events only. */
  readonly room: () => number;
  /** Awaited before a poll with records is taken in, if there is anything to await. Gives what is to be taken in. */
  readonly beforeReceived: ((poll: Poll) => Promise<Poll>) | undefined;
  /** Takes a poll in, inside a turn. */
  readonly received: (poll: Poll) => void;
  /** Whether somebody wants to know of every turn. */
  readonly isTimed: () => boolean;
  readonly turned: (turn: { readonly records: number; readonly pollMs: number; readonly turnMs: number }) => void;
  readonly turns: Turns;
  readonly failed: (error: unknown) => void;
}

/** Something that runs while nothing is polled. */
interface Interlude {
  readonly run: () => Promise<void>;
  readonly cancel: () => void;
}

/** Polls without end, one poll at a time, the next one asked for before what the last one brought is dispatched. */
export class Poller {
  readonly #parts: PollerParts;
  readonly #interludes: Interlude[] = [];
  #isAskingForNone = false;
  #isClosed = false;
  #hasEnded = false;
  #askedAt = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: PollerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#ended = this.#run()
      .catch((error: unknown) => this.#parts.failed(error))
      .finally(() => this.#cancelInterludes());
  }

  /** Room has come up: a poll that was sent for events only is ended. */
  roomChanged(): void {
    if (this.#isAskingForNone) this.#parts.consumer.wake();
  }

  /** Records that were kept aside have come back: what was asked for before would be too much now. */
  roomTaken(): void {
    this.#parts.consumer.wake();
  }

  /**
   * Runs something between two polls: what was polled before is taken in, and nothing is polled meanwhile.
   * @throws IllegalStateError when the polling ends before its turn has come
   */
  between(run: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = (): void => reject(new IllegalStateError('the worker is stopping: nothing is polled any more'));
      if (this.#isClosed || this.#hasEnded) cancel();
      else this.#interludes.push({ run: () => run().then(resolve, reject), cancel });
      this.#parts.consumer.wake();
    });
  }

  /** Ends with the poll under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#parts.consumer.wake();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { clock, beforeReceived, received, turns, isTimed, turned } = this.#parts;
    let next: Promise<Poll> | undefined = this.#poll();
    while (next !== undefined && !this.#isClosed) {
      let poll: Poll = await next;
      next = undefined;
      const hasTimes = isTimed();
      // Whoever has begun to listen meanwhile is told of the turn all the same.
      const pollMs = hasTimes && this.#askedAt > 0 ? clock.now() - this.#askedAt : 0;
      if (beforeReceived !== undefined && poll.records.length > 0) poll = await beforeReceived(poll);
      if (poll.errors.length > 0 && poll.records.length === 0 && poll.events.length === 0) {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, ERROR_PAUSE_MS));
      }
      const asksAtOnce = this.#interludes.length === 0;
      const takenAt = hasTimes ? clock.now() : 0;
      turns.run(() => {
        received(poll);
        // The next poll is on its way while the turn dispatches what this one brought.
        if (asksAtOnce && !this.#isClosed) next = this.#poll();
      });
      if (hasTimes) turned({ records: poll.records.length, pollMs, turnMs: clock.now() - takenAt });
      if (asksAtOnce) continue;
      while (this.#interludes.length > 0 && !this.#isClosed) await this.#interludes.shift()?.run();
      if (!this.#isClosed) next = this.#poll();
    }
  }

  /** The polling has ended, well or not. */
  #cancelInterludes(): void {
    this.#hasEnded = true;
    for (const { cancel } of this.#interludes.splice(0)) cancel();
  }

  #poll(): Promise<Poll> {
    const room = this.#parts.room();
    this.#isAskingForNone = room === 0;
    this.#askedAt = this.#parts.isTimed() ? this.#parts.clock.now() : 0;
    return this.#parts.consumer.poll(room, POLL_WAIT_MS);
  }
}
