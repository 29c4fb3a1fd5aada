import type { Assignment } from './assignment.ts';
import type { Clock } from './clock.ts';
import type { Departures } from './departures.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { HandlerCall } from './handler-call.ts';
import type { Lanes } from './lanes.ts';
import type { Outcomes } from './outcomes.ts';
import type { OwnedPartition } from './owned-partition.ts';
import type { NextOffset } from './record.ts';
import { Stillness } from './stillness.ts';
import type { Turns } from './turns.ts';

/** What comes to rest. */
export interface WindDownParts {
  readonly clock: Clock;
  readonly turns: Turns;
  readonly assignment: Assignment;
  readonly lanes: Lanes<HandlerCall>;
  readonly dispatcher: Dispatcher;
  readonly outcomes: Outcomes;
  readonly departures: Departures;
  /** The first record of a partition whose messages could not be written, if there is one. */
  readonly heldOffset: (owner: OwnedPartition) => number | undefined;
  /** Something that was polled is not taken in yet. */
  readonly isReceiving: () => boolean;
}

/** How an engine comes to rest: less and less is started, and whoever stops it waits for what runs. */
export class WindDown {
  readonly #parts: WindDownParts;
  readonly #quiet: Stillness = new Stillness(() => this.#isQuiet());
  readonly #returned: Stillness = new Stillness(() => this.unreturned().length === 0);
  #onlyFinishesGaps = false;

  constructor(parts: WindDownParts) {
    this.#parts = parts;
  }

  /** Batches that wait for more records start as they are, for nothing more comes. */
  stopFilling(): void {
    const { turns, lanes, clock } = this.#parts;
    turns.run(() => lanes.stopFilling(clock.now()));
  }

  /** What was paused goes on for the last time: under some deliveries it counts as committed. */
  releasePaused(): void {
    const { turns, departures, assignment } = this.#parts;
    turns.run(() => departures.drain([...assignment]));
  }

  /** Nothing is started any more but what something above has overtaken: it would keep that from being committed. */
  finishGaps(): void {
    const { turns, departures, assignment } = this.#parts;
    turns.run(() => {
      this.#onlyFinishesGaps = true;
      departures.finishGaps([...assignment]);
    });
  }

  /** A partition is assigned meanwhile: nothing of it is started either. */
  begun(owner: OwnedPartition): void {
    if (this.#onlyFinishesGaps) owner.startsBelow = 0;
  }

  /** Nothing at all is started any more; what runs goes on. */
  stopDispatch(): void {
    this.#parts.turns.run(() => this.#stopDispatch());
  }

  /** Asks every handler that runs to return. */
  abortAll(reason: Error): void {
    for (const call of this.#parts.dispatcher.running()) call.abort(reason);
  }

  /** Resolves when nothing runs and nothing can be started; from then on nothing is. */
  whenQuiet(): Promise<void> {
    return this.#wait(this.#quiet);
  }

  /** Handler calls that may still write for a partition that is ours. */
  unreturned(): HandlerCall[] {
    const isOurs = (call: HandlerCall): boolean => call.owners().some(({ phase }) => phase !== 'ended');
    return [...this.#parts.dispatcher.handlers()].filter(isOurs);
  }

  /** Resolves when there are none: they have returned, or their partitions are lost. */
  whenReturned(): Promise<void> {
    return this.#wait(this.#returned);
  }

  /** Partitions with records that were received and are not finished, or whose messages could not be written. */
  left(): NextOffset[] {
    return [...this.#parts.assignment].flatMap((owner) => {
      const { topic, partition, ledger } = owner;
      const held = this.#parts.heldOffset(owner);
      if (ledger.openCount === 0 && held === undefined) return [];
      return [{ topic, partition, offset: Math.min(ledger.nextOffset, held ?? ledger.nextOffset) }];
    });
  }

  /** After every turn: tells those who wait. */
  check(): void {
    // It stays quiet: a poll that is under way may come back before those who wait have heard of it.
    if (this.#quiet.check()) this.#stopDispatch();
    this.#returned.check();
  }

  #wait(stillness: Stillness): Promise<void> {
    const still = stillness.wait();
    // It may be so already.
    this.#parts.turns.run(() => {});
    return still;
  }

  #stopDispatch(): void {
    const { dispatcher, departures, assignment } = this.#parts;
    dispatcher.pause();
    departures.leaveGaps([...assignment]);
  }

  /** Nothing runs, and nothing that may still start is on its way. */
  #isQuiet(): boolean {
    const { dispatcher, outcomes, isReceiving } = this.#parts;
    return dispatcher.isQuiet && outcomes.isQuiet && !isReceiving();
  }
}
